"""No false alarm on healthy networks of keras.applications: random weights, statistics of the data, noise on."""

import keras
import numpy as np
import pytest

from compare.diagnosis.diagnosis import diagnose

SIZE, SAMPLES = 40, 48


def healthy(kind):
    keras.utils.set_random_seed(0)
    body = getattr(keras.applications, kind)(
        weights=None, input_shape=(SIZE, SIZE, 3), include_top=False, pooling="avg"
    )
    model = keras.Sequential([body, keras.layers.Dropout(0.2, name="head_dropout"), keras.layers.Dense(3)])
    model.build((None, SIZE, SIZE, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, SAMPLES)
    x = (rng.uniform(0, 200, (SAMPLES, SIZE, SIZE, 3)) + 25 * y[:, None, None, None]).astype("float32")
    norms = [layer for layer in model._flatten_layers() if hasattr(layer, "moving_mean")]
    for step in range(3):
        for layer in norms:
            layer.momentum = 1 - 1 / (step + 1)
        model(x[16 * step : 16 * step + 16], training=True)
    for layer in norms:
        layer.momentum = 0.99
    return model, x, y


@pytest.mark.parametrize(
    "kind",
    [
        "MobileNetV2",
        pytest.param("EfficientNetB0", marks=pytest.mark.slow),
        pytest.param("DenseNet121", marks=pytest.mark.slow),
        pytest.param("ConvNeXtTiny", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_called_harmful(kind):
    model, x, y = healthy(kind)
    diagnosis = diagnose(model, (x, y), batch_size=16)
    assert not diagnosis.harmful, diagnosis.findings
    assert diagnosis.probes.restored == "same"
    assert "dropout" in [term.term for term in diagnosis.terms]
    if kind == "MobileNetV2":  # and the same network with another data set's statistics isn't healthy
        for layer in model._flatten_layers():
            if hasattr(layer, "moving_mean"):
                layer.moving_mean.assign(layer.moving_mean + 2 * keras.ops.sqrt(layer.moving_variance))
        assert diagnose(model, (x, y), batch_size=16).gap != diagnosis.gap
