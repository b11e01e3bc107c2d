"""Figures that are means over batches: `evaluate` deals other batches than `fit`, and no metric is wrong for that."""

import keras
import numpy as np
import pytest
from keras import ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, toy


def causes(found):
    return [finding.cause for finding in found.findings]


@pytest.mark.parametrize("size", [32, 250])
def test_an_outputs_own_loss_in_batches_of_another_size_is_an_average_of_another_kind(size):
    keras.utils.set_random_seed(1)
    x, y = toy(300)
    x[-12:] *= 3  # of a batch of 32 samples they are the last
    inputs = keras.Input((8,))
    hidden = Dense(16, activation="relu")(inputs)
    heads = {"kind": Dense(3, name="kind")(hidden), "size": Dense(1, name="size")(hidden)}
    losses = {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"}
    model = keras.Model(inputs, heads)
    compiled(model, loss=losses, metrics=())
    targets = {"kind": y, "size": 2 * x[:, :1]}
    history = fitted(model, x, targets, batch_size=30)
    figures = model.evaluate(x, targets, batch_size=size, verbose=0, return_dict=True)
    said = {f"evaluate_{name}": value for name, value in figures.items()}
    found = diagnose(
        model, (x, targets), batch_size=30, reported={"loss": history.history["loss"][-1]} | said
    )
    parts = ("evaluate_kind_loss", "evaluate_size_loss")
    assert max(abs(said[name] / found.measured[name] - 1) for name in parts) > 0.02
    assert "metric" not in causes(found)
    assert "aggregation" in causes(found)
    # and one that no dealing gives is still another metric
    wrong = said | {"evaluate_kind_loss": 3 * said["evaluate_kind_loss"]}
    assert "metric" in causes(diagnose(model, (x, targets), batch_size=30, reported=wrong))


def precision(targets, outputs):
    """Of a batch, and so no mean over samples."""
    said = ops.cast(ops.argmax(outputs, -1) == 1, "float32")
    right = ops.cast(ops.reshape(targets, (-1,)) == 1, "float32")
    return ops.sum(said * right) / (ops.sum(said) + 1e-6)


def test_a_metric_of_the_persons_own_that_is_one_batch_s_is_an_average_in_others():
    keras.utils.set_random_seed(1)
    x, y = toy(300)
    keep = (y != 1) | (np.arange(300) % 6 == 0)
    x, y = x[keep] + np.random.default_rng(0).normal(size=(int(keep.sum()), 8)).astype("float32"), y[keep]
    model = compiled(net(Dense(16, activation="relu")), metrics=[precision])
    history = fitted(model, x, y, batch_size=8)
    figures = model.evaluate(x, y, batch_size=64, verbose=0, return_dict=True)
    said = {"loss": history.history["loss"][-1]} | {f"evaluate_{name}": v for name, v in figures.items()}
    found = diagnose(model, (x, y), batch_size=8, reported=said)
    assert abs(figures["precision"] / found.measured["evaluate_precision"] - 1) > 0.05
    assert "metric" not in causes(found)
    assert "aggregation" in causes(found)


def test_batches_that_are_mildly_sorted_are_named_where_dealing_anew_undoes_what_they_cost():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    y = np.sort(rng.integers(0, 4, 320))
    x = 1.2 * rng.normal(size=(4, 9))[y] + rng.normal(size=(320, 9))
    mixed = rng.random(320) < 0.5
    order = np.arange(320)
    order[mixed] = rng.permutation(order[mixed])
    parts = [
        Dense(32),
        BN(momentum=0.9),
        keras.layers.ReLU(),
        Dense(16),
        BN(momentum=0.9),
        keras.layers.ReLU(),
    ]
    model = compiled(net(*parts, width=9, classes=4))
    x, y = x[order].astype("float32"), y[order]
    history = fitted(model, x, y, 15, shuffle=False)
    said = {"loss": history.history["loss"][-1], "evaluate_loss": model.evaluate(x, y, verbose=0)[0]}
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 320, 32)]
    found = diagnose(model, batches, reported=said)
    assert causes(found)[0] == "unmixed-batches"
    again = rng.permutation(320)
    batches = [(x[i], y[i]) for i in np.split(again, 10)]
    assert "unmixed-batches" not in causes(diagnose(model, batches))


class Highest(keras.metrics.Metric):
    """The largest output so far, which begins below any number."""

    def __init__(self, name="highest", **kwargs):
        super().__init__(name=name, **kwargs)
        self.value = self.add_variable((), lambda shape, dtype: ops.full(shape, -np.inf, dtype), name="value")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.value.assign(ops.maximum(self.value, ops.max(y_pred)))

    def result(self):
        return self.value.value

    def reset_state(self):
        self.value.assign(-np.inf)


def test_a_metric_that_begins_at_infinity_comes_to_what_evaluate_says():
    x, y = toy(96)
    model = compiled(net(Dense(16, activation="relu")), metrics=[Highest()])
    figures = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    found = diagnose(model, (x, y), batch_size=32)
    assert found.measured["evaluate_highest"] == pytest.approx(figures["highest"], rel=1e-5)
