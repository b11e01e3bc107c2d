"""Where a diagnosis must hold back, what comes first where it need not, and how much it holds at a time."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers, ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis import variants
from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, normed, toy


def causes(found, harmful=None):
    return [finding.cause for finding in found.findings if harmful is None or finding.harmful == harmful]


def asked(model, x, y, epochs=8, size=32):
    keras.utils.set_random_seed(1)
    return diagnose(model, (x, y), reported=fitted(compiled(model), x, y, epochs, size))


class Draws(keras.Model):
    """Moves its generator on in evaluation, too, and uses nothing of it."""

    def __init__(self):
        super().__init__()
        self.net, self.drawn = net(*normed(0.5)), keras.random.SeedGenerator(1)

    def call(self, x, training=None):
        keras.random.uniform((2,), seed=self.drawn)
        return self.net(x, training=training)


def test_an_evaluation_that_moves_the_generator_on_is_no_leak():
    found = asked(Draws(), *toy(), epochs=12)
    assert not found.harmful
    assert (found.probes.state_after_evaluation, found.probes.evaluate_twice) == ("same", "same")


def test_data_that_evaluate_badly_in_both_modes_are_no_gap():
    keras.utils.set_random_seed(1)
    x, y = toy()
    model = compiled(net(*normed(0.5)), rate=0.0)
    model.fit(x, y, epochs=4, batch_size=64, verbose=0)
    found = diagnose(model, (x, y), batch_size=64)
    assert found.measured["evaluate_loss"] > 1
    assert causes(found) == ["none"]


@pytest.mark.parametrize("spread", [0.0, 1e-4])
def test_a_constant_input_whose_rounding_is_amplified_is_none(spread):
    x = (1 + spread * np.random.default_rng(0).normal(size=(64, 8))).astype("float32")
    assert causes(asked(net(BN(momentum=0.9), Dense(8, "relu")), x, np.arange(64) % 3, 30)) == ["none"]


def test_batches_of_one_are_not_to_be_cured_by_re_estimation():
    model, data, options, _ = variants.noisy_masks_of_one_image()
    found = diagnose(model, data, **options)
    assert causes(found)[0] == "batch-noise"
    for finding in found.findings:
        assert not any(word in finding.cure.code for word in ("momentum", "moving_"))


def _guide(trainable, asked_for):
    """A base that was trained before, called as Keras's guide has it."""
    keras.utils.set_random_seed(1)
    base = keras.Sequential([keras.Input((8,)), *normed(0.99)], name="base")
    fitted(compiled(keras.Sequential([base, Dense(3)])), *toy(), 10)
    base.trainable = trainable
    inputs = keras.Input((8,))
    return keras.Model(inputs, Dense(3)(base(inputs, training=asked_for)))


@pytest.mark.parametrize("asked_for", [False, True])
def test_what_a_graph_asks_a_frozen_base_for_changes_nothing_and_is_no_finding(asked_for):
    x, y = toy(shift=0.3, seed=2)
    assert causes(asked(_guide(False, asked_for), x, y)) == ["none"]


def test_what_a_graph_asks_a_base_for_that_trains_is_one():
    x, y = toy(shift=0.3, seed=2)
    found = asked(_guide(True, False), x, y)
    assert causes(found)[0] == "mode-override"
    assert {row.notes for row in found.audit.rows} == {
        ("training=False in the graph's call of base is overridden by fit",)
    }


def test_dropout_of_nothing_that_a_graph_asks_for_is_no_finding():
    inputs = keras.Input((8,))
    hidden = layers.Dropout(0.0)(Dense(16, "relu")(inputs), training=True)
    assert causes(asked(keras.Model(inputs, Dense(3)(hidden)), *toy())) == ["none"]


class OfTheBatch(layers.Layer):
    """Normalises with the batch in either mode, by an arithmetic of its own that keeps nothing."""

    def call(self, x):
        mean, variance = ops.moments(x, 0)
        return (x - mean) / ops.sqrt(variance + 1e-3)


def test_evaluation_on_batch_statistics_is_found_beside_a_figure_only():
    x, y = toy()
    model = net(Dense(24), OfTheBatch(), layers.ReLU())
    assert not asked(model, x, y, 15).harmful
    order = np.argsort(y)
    found = diagnose(model, (x, y), batch_size=32, evaluate_data=(x[order], y[order]))
    assert causes(found, harmful=True) == ["mode-in-evaluation"]
    assert "shuffle" in found.findings[0].cure.code


class Noisy(layers.Layer):
    def __init__(self):
        super().__init__()
        self.drawn = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + 0.5 * keras.random.normal(ops.shape(x), seed=self.drawn)


def test_what_makes_figures_unreliable_comes_before_what_costs_more():
    found = asked(net(*normed(0.99), Noisy()), *toy(128, shift=3.0))
    assert causes(found, harmful=True) == ["random-evaluation", "stale-statistics"]
    assert abs(found.findings[1].value) > abs(found.findings[0].value)


def test_what_is_no_number_costs_most():
    model = net(*normed(0.99), layers.Dropout(0.3))
    x, y = toy(128, shift=3.0)
    assert causes(asked(model, x, y))[0] == "stale-statistics"
    norm = next(layer for layer in model.layers if isinstance(layer, BN))
    norm.moving_variance.assign(np.r_[np.nan, np.ones(23)].astype("float32"))
    assert causes(diagnose(model, (x, y), batch_size=32))[0] == "numerics"


class Counted(keras.utils.PyDataset):
    """Notes how many of its batches are alive at a time."""

    def __init__(self):
        super().__init__()
        self.alive, self.most = set(), 0

    def __len__(self):
        return 100

    def __getitem__(self, index):
        x = np.random.default_rng(index).normal(size=(10, 8)).astype("float32")
        gc.collect(0)
        self.alive.add(id(x))
        weakref.finalize(x, self.alive.discard, id(x))
        self.most = max(self.most, len(self.alive))
        return x, np.arange(10) % 3


def test_memory_is_bounded_by_the_limit():
    """Of data of many times the limit few more batches are alive at a time than with the limit."""
    data = Counted()
    found = diagnose(compiled(net(*normed(0.9))), data, limit=40)
    assert found.samples == 1000
    assert 0 < data.most <= 4 + 4
