"""Figures of validation data that nobody gave, and losses that layers add."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis import toys

BN = layers.BatchNormalization


def overfitted(noise):
    """Labels that only learning by heart gives, and others beside them for validation."""
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(0)
    x, other = (rng.normal(size=(count, 12)).astype("float32") for count in (96, 60))
    y, wanted = rng.integers(0, 3, 96), rng.integers(0, 3, 60)
    model = toys.compiled(toys.net(layers.Dense(48, "relu"), layers.Dropout(noise), width=12), 0.01)
    history = model.fit(x, y, epochs=10, batch_size=16, verbose=0, validation_data=(other, wanted))
    return model, (x, y), history, (other, wanted)


@pytest.mark.parametrize("listed", [True, False])
def test_validation_that_was_not_given_is_of_other_samples_and_no_harm(listed):
    model, data, history, _ = overfitted(0.3)
    found = diagnose(model, data, reported=history if listed else history.history)
    first = found.findings[0]
    assert (first.cause, found.harmful) == ("samples", False)
    assert "evaluate_data" in first.cure.text
    assert not any(finding.cause == "metric" for finding in found.findings)


def test_with_validation_data_its_figures_are_measured():
    model, data, history, validation = overfitted(0.3)
    found = diagnose(model, data, reported=history, evaluate_data=validation)
    assert found.measured["evaluate_loss"] == pytest.approx(history.history["val_loss"][-1], rel=1e-4)


@pytest.mark.parametrize(("off", "named"), [(0.0, True), (0.01, False)])
def test_a_metric_is_wrong_only_where_the_losses_are_the_same(off, named):
    """A loss that lies 1 % off is of other samples or weights, and so is the accuracy."""
    model, (x, y), *_ = overfitted(0.0)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    reported = {"evaluate_loss": loss * (1 + off), "evaluate_accuracy": accuracy - 0.2}
    found = diagnose(model, (x, y), reported=reported)
    assert any(finding.cause == "metric" for finding in found.findings) == named


def test_a_loss_that_is_rounded_is_the_same():
    model, (x, y), *_ = overfitted(0.0)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    reported = {"evaluate_loss": round(loss, 2), "evaluate_accuracy": round(accuracy, 2) - 0.2}
    assert diagnose(model, (x, y), reported=reported).findings[0].cause == "metric"


def test_what_layers_add_to_the_loss_is_that_of_one_batch_in_every_pass():
    """Passes side by side keep what their layers add in the same place; the terms mustn't be of all of them."""
    keras.utils.set_random_seed(5)
    x, y = toys.toy(96)
    noisy = layers.Dense(16, "relu", activity_regularizer=keras.regularizers.L2(0.05))
    model = toys.compiled(toys.net(BN(momentum=0.9), noisy, layers.Dropout(0.2)), 0.005)
    history = toys.fitted(model, x, y, epochs=10, batch_size=16)
    found = diagnose(model, (x, y), reported=history, batch_size=16)
    assert not found.harmful
    assert all(abs(term.value) < 0.1 * found.measured["fit_loss"] for term in found.terms)


def masked_acc(y, outputs):
    right, there = ops.equal(ops.argmax(outputs, -1), ops.cast(y, "int64")), ops.cast(y != 0, "float32")
    return ops.sum(ops.cast(right, "float32") * there) / ops.sum(there)


@pytest.mark.parametrize("metric", [masked_acc, "accuracy"], ids=["own", "by-keras"])
def test_an_accuracy_that_leaves_padding_out_is_meant_so(metric):
    keras.utils.set_random_seed(7)
    x = np.random.default_rng(0).integers(1, 9, (64, 8))
    y = np.where(np.arange(8) < 5, x, 0)
    x = y if metric == "accuracy" else x
    model = keras.Sequential(
        [keras.Input((8,)), layers.Embedding(9, 8, mask_zero=metric == "accuracy"), layers.Dense(9)]
    )
    toys.compiled(model, 0.01, metrics=[metric])
    history = model.fit(x, y, epochs=40 if metric is masked_acc else 3, verbose=0)
    found = diagnose(model, (x, y), reported=history)
    plain = (model.predict(x, verbose=0).argmax(-1) == y).mean()
    name = metric if isinstance(metric, str) else metric.__name__
    assert abs(plain - found.measured[f"evaluate_{name}"]) > 0.1
    assert not any(finding.cause == "metric" for finding in found.findings)
