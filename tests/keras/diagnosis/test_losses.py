"""Any loss: what is measured is what Keras's own fit and evaluate say, and the terms add up to the gap."""

import keras
import numpy as np
import pytest
from keras import layers, losses, ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import BN, Dense, normed, toy

X, Y = toy(70)
ONE_HOT = np.eye(3, dtype="float32")[Y]
RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(20, 6, 6, 2)).astype("float32")
MASKS = (IMAGES[..., :1] > 0.3).astype("float32")


def rows(*last, classes=3, **options):
    """A normed network on rows."""
    return keras.Sequential([keras.Input((8,)), *normed(0.9), Dense(classes, **options), *last])


def images(classes, activation=None):
    parts = (
        layers.Conv2D(6, 3, padding="same"),
        BN(),
        layers.ReLU(),
        layers.Conv2D(classes, 1, activation=activation),
    )
    return keras.Sequential([keras.Input((6, 6, 2)), *parts])


def dice(y, p):
    """Of the whole batch: no mean over samples."""
    return 1 - 2 * ops.sum(y * p) / (ops.sum(y) + ops.sum(p))


class WithTerm(keras.Model):
    """A loss of its own beside the compiled one, in both modes."""

    def __init__(self):
        super().__init__()
        self.net = rows()

    def call(self, x, training=None):
        return self.net(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.1 * ops.mean(ops.abs(y_pred))


class Adds(layers.Layer):
    def call(self, x):
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


def several():
    inputs = keras.Input((8,))
    h = keras.Sequential(normed(0.9))(inputs)
    return keras.Model(inputs, {"a": Dense(3, name="a")(h), "b": Dense(1, name="b")(h)})


def lists():
    inputs = [keras.Input((8,)), keras.Input((3,))]
    h = keras.Sequential(normed(0.9))(layers.Concatenate()(inputs))
    return keras.Model(inputs, [Dense(3)(h), Dense(1)(h)])


SPARSE = losses.SparseCategoricalCrossentropy(from_logits=True)
L2 = keras.regularizers.L2(0.01)
# kind -> (makes a model, compile's options, x, y, weights of samples)
KINDS = {
    "sparse, logits": (rows, {"loss": SPARSE}, X, Y, None),
    "sparse, probabilities": (
        lambda: rows(activation="softmax"),
        {"loss": "sparse_categorical_crossentropy"},
        X, Y, None,
    ),
    "one-hot, smoothed": (
        rows,
        {"loss": losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)},
        X, ONE_HOT, None,
    ),
    "binary": (
        lambda: rows(classes=1, activation="sigmoid"),
        {"loss": "binary_crossentropy"},
        X, (Y == 1).astype("float32")[:, None], None,
    ),
    "several labels": (
        lambda: rows(classes=4),
        {"loss": losses.BinaryCrossentropy(from_logits=True)},
        X, (X[:, :4] > 0).astype("float32"), None,
    ),
    "regression": (lambda: rows(classes=2), {"loss": "huber"}, X, X[:, :2] ** 2, None),
    "weights of samples": (
        rows,
        {"loss": SPARSE, "weighted_metrics": ["accuracy"]},
        X, Y, RNG.random(70).astype("float32"),
    ),
    "penalties": (
        lambda: rows(Adds(), kernel_regularizer=L2, activity_regularizer="l1"),
        {"loss": SPARSE},
        X, Y, None,
    ),
    "masks": (lambda: images(2), {"loss": SPARSE}, IMAGES, MASKS.astype("int64"), None),
    "masks, no mean over samples": (lambda: images(1, "sigmoid"), {"loss": dice}, IMAGES, MASKS, None),
    "a loss of its own": (WithTerm, {"loss": SPARSE}, X, Y, None),
    "several inputs and outputs, weighted": (
        lists,
        {"loss": [SPARSE, "mse"], "loss_weights": [1.0, 0.3]},
        [X, X[:, :3] + 1], [Y, X[:, :1]], [RNG.random(70).astype("float32"), np.ones(70, "float32")],
    ),
    "several labels, probabilities": (
        lambda: rows(classes=4, activation="sigmoid"),
        {"loss": "binary_crossentropy"},
        X, (X[:, :4] > 0).astype("float32"), None,
    ),
    "one-hot, probabilities": (
        lambda: rows(activation="softmax"), {"loss": "categorical_crossentropy"}, X, ONE_HOT, None,
    ),
    "several outputs": (
        several,
        {"loss": {"a": SPARSE, "b": "mse"}, "loss_weights": {"a": 1.0, "b": 0.3}},
        X, {"a": Y, "b": X[:, :1]}, None,
    ),
}  # fmt: skip


def said_by_keras(model, x, y, weights):
    """What one epoch of fit at rate 0 says, with the statistics put back, and what evaluate says."""
    kept = [keras.ops.convert_to_numpy(value) for value in model.variables]
    given = {"sample_weight": weights, "batch_size": 16, "verbose": 0}
    fit = model.fit(x, y, epochs=1, shuffle=False, **given).history["loss"][-1]
    for variable, value in zip(model.variables, kept, strict=False):
        variable.assign(value)
    return fit, model.evaluate(x, y, return_dict=True, **given)["loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_measured_is_what_keras_says(kind):
    make, options, x, y, weights = KINDS[kind]
    keras.utils.set_random_seed(3)
    model = make()
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False, **options)
    model.fit(x, y, epochs=1, batch_size=16, sample_weight=weights, verbose=0)
    fit, evaluate = said_by_keras(model, x, y, weights)
    data = (x, y) if weights is None else (x, y, weights)
    found = diagnose(model, data, batch_size=16)
    assert np.isclose(found.measured["fit_loss"], fit, rtol=1e-6)
    assert np.isclose(found.measured["evaluate_loss"], evaluate, rtol=1e-6)
    assert not np.isclose(fit, evaluate, rtol=1e-4)
    assert np.isclose(sum(term.value for term in found.terms), found.gap, rtol=1e-6, atol=1e-12)
    assert np.isclose(found.gap, evaluate - fit, rtol=1e-4, atol=1e-6)
    assert found.probes.restored == "same"


# metric -> units and activation of the last layer, loss, targets
METRICS = {
    "AUC": (1, "sigmoid", "binary_crossentropy", (Y == 1).astype("float32")[:, None]),
    "Precision": (4, "sigmoid", "binary_crossentropy", (X[:, :4] > 0).astype("float32")),
    "BinaryAccuracy": (4, "sigmoid", "binary_focal_crossentropy", (X[:, :4] > 0).astype("float32")),
    "F1Score": (3, "softmax", "categorical_crossentropy", ONE_HOT),
    "CategoricalAccuracy": (3, "softmax", "categorical_focal_crossentropy", ONE_HOT),
    "R2Score": (2, None, "mse", X[:, :2]),
    "RootMeanSquaredError": (2, None, "log_cosh", X[:, :2]),
}


@pytest.mark.parametrize("kind", METRICS)
def test_a_metric_of_any_kind_is_that_of_evaluate(kind):
    units, activation, loss, y = METRICS[kind]
    keras.utils.set_random_seed(3)
    model = rows(classes=units, activation=activation)
    model.compile("sgd", loss, metrics=[getattr(keras.metrics, kind)(name="mine")], jit_compile=False)
    said = model.evaluate(X, y, batch_size=16, verbose=0, return_dict=True)
    found = diagnose(model, (X, y), batch_size=16)
    for name in ("loss", "mine"):
        assert found.measured[f"evaluate_{name}"] == pytest.approx(float(np.mean(said[name])), rel=1e-5)
    assert found.measured["fit_mine"] != pytest.approx(found.measured["evaluate_mine"], rel=1e-4)
    assert found.probes.restored == "same"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float64"])
def test_a_model_of_any_precision_is_measured_as_keras_measures_it(policy):
    keras.utils.set_random_seed(3)
    keras.config.set_dtype_policy(policy)
    try:
        model = rows()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(keras.optimizers.SGD(0.0), SPARSE, jit_compile=False)
    fit, evaluate = said_by_keras(model, X, Y, None)
    found = diagnose(model, (X, Y), batch_size=16)
    # a graph fuses what is rounded to a few bits one by one
    close = 1e-6 if policy == "float64" else 2e-2 if "bfloat16" in policy else 2e-3
    assert found.measured["fit_loss"] == pytest.approx(fit, rel=close)
    assert found.measured["evaluate_loss"] == pytest.approx(evaluate, rel=close)
    assert fit != pytest.approx(evaluate, rel=close)
    assert sum(term.value for term in found.terms) == pytest.approx(found.gap, rel=1e-6, abs=1e-9)
    assert found.probes.restored == "same"
