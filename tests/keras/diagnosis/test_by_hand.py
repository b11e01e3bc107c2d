"""Normalisations that a person wrote as a layer of their own, whose statistics nothing ever moves."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import Dense, compiled, fitted, net, toy


class ByHand(layers.Layer):
    """The batch's own mean and deviation in training, stored ones in evaluation; shifted at the end if asked."""

    def __init__(self, offset=0.0):
        super().__init__()
        self.offset = offset

    def build(self, shape):
        self.table = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False, name="table")
        self.spread = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False, name="spread")
        self.centre = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False, name="centre")

    def call(self, x, training=None):
        if training:
            mean, variance = ops.moments(x, axes=[0])
            return self.table * (x - mean) / ops.sqrt(variance + 1e-3)
        return self.table * (x - self.centre) / ops.sqrt(self.spread**2 + 1e-3) + self.offset


def asked(layer, prepare=lambda layer: None):
    keras.utils.set_random_seed(1)
    x, y = toy(shift=4.0, scale=2.0)
    model = compiled(net(layer, Dense(24, activation="relu")))
    prepare(layer)
    history = fitted(model, x, y)
    said = {"loss": history.history["loss"][-1], "evaluate_loss": model.evaluate(x, y, verbose=0)[0]}
    return diagnose(model, (x, y), batch_size=32, reported=said)


def of_other_data(layer):
    z, _ = toy(shift=1.0, seed=5)
    layer.centre.assign(z.mean(0))
    layer.spread.assign(z.std(0))


@pytest.mark.parametrize(
    ("prepare", "cause"), [(lambda layer: None, "stale-statistics"), (of_other_data, "foreign-statistics")]
)
def test_statistics_that_never_move_are_found_by_what_evaluation_does_with_the_batchs_own(prepare, cause):
    layer = ByHand()
    found = asked(layer, prepare)
    assert [finding.cause for finding in found.findings if finding.harmful] == [cause]
    assert found.findings[0].value > 0.8 * found.gap
    row = found.audit.rows[0]
    assert (row.fit, row.evaluate, row.moves) == ("batch", "moving", False)
    assert row.virgin == (cause == "stale-statistics")
    assert found.probes.restored == "same"


def test_a_layer_that_does_something_else_besides_in_evaluation_is_no_normalisation():
    found = asked(ByHand(offset=3.0))
    assert found.findings[0].cause == "mode-override"
    assert np.isclose(sum(term.value for term in found.terms), found.gap, rtol=1e-6)


def test_the_frameworks_own_layer_in_its_place_closes_the_gap():
    before = asked(ByHand())
    names = {"keras": keras}
    exec(before.findings[0].cure.code, names)
    after = asked(names["norm"])
    assert isinstance(names["norm"], layers.BatchNormalization)
    assert "in place of yours" in before.findings[0].cure.text
    assert not after.harmful
    assert abs(after.gap) < before.gap / 5
