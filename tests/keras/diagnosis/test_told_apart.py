"""Causes that look like one another: each is told from its neighbour by what only it does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, toy
from tests.support import own_model


def causes(found):
    return [finding.cause for finding in found.findings]


class Insists(layers.Layer):
    """A block that calls its normalisation as in training, whatever it is told."""

    def __init__(self):
        super().__init__()
        self.dense, self.norm = Dense(24), BN(momentum=0.9)

    def call(self, x):
        return ops.relu(self.norm(self.dense(x), training=True))


def test_a_layer_called_as_in_training_by_the_layer_around_it_overrides_the_mode():
    keras.utils.set_random_seed(1)
    x, y = toy()
    model = compiled(net(Insists()))
    fitted(model, x, y)
    found = diagnose(model, (x, y), batch_size=32)
    assert "mode-override" in causes(found)
    assert "mode-in-evaluation" not in causes(found)


class Charges(layers.Layer):
    """Adds a loss in training, and in evaluation another share of it."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def call(self, x, training=None):
        self.add_loss((1.0 if training else self.share) * (0.3 + 0.05 * ops.mean(ops.square(x))))
        return x


def test_a_loss_that_a_layer_adds_in_training_alone_is_another_objective():
    keras.utils.set_random_seed(1)
    x, y = toy()
    model = compiled(net(Dense(24, activation="relu"), Charges(0.0)))
    history = fitted(model, x, y)
    said = {"loss": history.history["loss"][-1], "evaluate_loss": model.evaluate(x, y, verbose=0)[0]}
    found = diagnose(model, (x, y), batch_size=32, reported=said)
    assert causes(found)[0] == "objective"
    assert found.findings[0].layers == (model.layers[1].name,)
    assert np.isclose(found.measured["fit_loss"], said["loss"], rtol=1e-2)
    same = compiled(net(Dense(24, activation="relu"), Charges(1.0)))
    assert "objective" not in causes(diagnose(same, (x, y), batch_size=32))


def test_a_moving_average_of_several_calls_a_pass_is_mostly_of_the_last():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 256)
    x = rng.normal(size=(256, 4, 8)) + 3.0 * np.arange(4)[None, :, None]
    x[:, :, 0] += (2 * y - 1)[:, None]
    parts = layers.TimeDistributed(BN(momentum=0.7)), layers.Flatten(), Dense(2)
    model = compiled(keras.Sequential([keras.Input((4, 8)), *parts]))
    fitted(model, x.astype("float32"), y, 15, 64)
    found = diagnose(model, (x.astype("float32"), y), batch_size=64)
    assert causes(found)[0] == "shared-layer"
    assert {finding.cause for finding in found.findings if finding.harmful} == {"shared-layer"}


def test_a_sum_over_the_batch_is_an_average_of_another_kind():
    keras.utils.set_random_seed(1)
    rows = tf.data.Dataset.from_tensor_slices(toy())
    for reduction, cause in (("sum", "aggregation"), ("sum_over_batch_size", "none")):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        model = compiled(net(Dense(16, activation="relu")), loss=loss)
        found = diagnose(model, rows.batch(16), evaluate_data=rows.batch(64))
        assert causes(found) == [cause]


@pytest.mark.parametrize(("epochs", "cause"), [(3, "stale-statistics"), (100, "none")])
def test_statistics_far_from_arrived_are_no_chance_though_four_batches_differ_much(epochs, cause):
    model, given = own_model.in_keras(epochs)
    assert causes(diagnose(model, **given))[0] == cause


@pytest.mark.parametrize("steps", [3, 6])
def test_statistics_that_have_hardly_begun_to_move_are_stale_whatever_scale_would_suit_them(steps):
    """Inputs from 0 to 1: taken to -1..1 they come nearer to the 0 and 1 that a new network has stored."""
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 96)
    x = rng.random((96, 12, 12, 3)).astype("float32") + 0.3 * (np.arange(3) == y[:, None])[:, None, None]
    middle = [
        layers.Conv2D(8, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
    ]
    model = keras.Sequential([keras.Input((12, 12, 3)), *middle, layers.Dense(3)])
    history = fitted(compiled(model, 0.01), x.astype("float32"), y, steps, 16, settle=False)
    found = diagnose(model, (x.astype("float32"), y), reported=history, batch_size=16)
    assert found.findings[0].cause == "stale-statistics"
