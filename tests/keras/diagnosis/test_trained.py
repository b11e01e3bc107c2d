"""What trains is what a step of the model's own updates, whatever is trainable."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import BN, Dense, toy

SCE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def base():
    parts = []
    for width in (32, 24):
        parts += [Dense(width), BN(momentum=0.98), layers.ReLU()]
    return keras.Sequential([keras.Input((8,)), *parts], name="base")


class Transfer(keras.Model):
    """A base and a head; its step trains what `chosen` names of the step's number."""

    def __init__(self, body, chosen):
        super().__init__()
        self.body, self.head, self.chosen, self.steps_made = body, Dense(3), chosen, 0
        self.second = keras.optimizers.Adam(0.01)

    def call(self, x, training=None):
        return self.head(self.body(x, training=training))

    def train_step(self, data):
        x, y = data
        self.steps_made += 1
        name = self.chosen(self.steps_made)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = getattr(self, name).trainable_variables
        optimizer = self.optimizer if name == "head" else self.second
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


def diagnosed(chosen, shift=5.0):
    keras.utils.set_random_seed(0)
    x, y = toy()
    body = base()
    pretrained = keras.Sequential([body, Dense(3)])
    pretrained.compile(keras.optimizers.Adam(0.01), SCE)
    pretrained.fit(x, y, epochs=15, verbose=0)
    model = Transfer(body, chosen)
    model.compile(keras.optimizers.Adam(0.01), SCE, run_eagerly=True)
    history = model.fit(x + shift, y, epochs=2, verbose=0)
    before = model.steps_made
    found = diagnose(model, (x + shift, y), batch_size=32, reported=history)
    assert model.steps_made >= before
    assert found.probes.restored == "same"
    return found


def trains(found):
    return {row.trains for row in found.audit.rows if row.role == "normalisation"}


def test_a_step_that_trains_the_head_alone_leaves_a_base_that_is_frozen_but_for_its_statistics():
    found = diagnosed(lambda step: "head")
    assert trains(found) == {False}
    assert found.findings[0].cause == "not-frozen"
    assert found.findings[0].harmful


@pytest.mark.parametrize("turn", [2, 4])
def test_a_base_whose_turn_comes_later_trains(turn):
    found = diagnosed(lambda step: "head" if step % turn else "body")
    assert trains(found) == {True}
    assert "not-frozen" not in {finding.cause for finding in found.findings}


def test_a_step_that_updates_by_its_own_hand_trains_what_it_updates():
    class ByHand(Transfer):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            for variable, gradient in zip(self.trainable_variables, gradients, strict=True):
                variable.assign_sub(0.01 * gradient)
            return {"loss": loss}

    keras.utils.set_random_seed(0)
    x, y = toy()
    model = ByHand(base(), None)
    model.compile(keras.optimizers.Adam(0.01), SCE)
    model.fit(x, y, epochs=1, verbose=0)
    found = diagnose(model, (x, y), batch_size=32)
    assert trains(found) == {True}
    assert found.probes.restored == "same"
