"""`keras.applications` with random weights that leave no array at a default, moving statistics re-estimated.

    compare parity benchmarks/public/in_keras.py:MobileNetV2 benchmarks/public/in_torch.py:MobileNetV2_0

Names are those of `benchmarks.public_pairs.PAIRS`.
"""

from __future__ import annotations

import keras
import numpy as np

SIZES = {"InceptionV3": 75}  # the smallest that it takes
SIZE, CLASSES = 64, 10


def fill(model: keras.Model, seed: int = 0) -> keras.Model:
    """Set every array to random numbers of a size that keeps the network's values near one."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "variance", "moving_variance"):
            variable.assign(generator.uniform(0.6, 1.4, shape))
        elif variable.name in ("bias", "beta", "mean", "moving_mean"):
            variable.assign(generator.normal(0, 0.15, shape))
        elif "float" in str(variable.dtype):
            fan = np.prod(shape[:-1]) if len(shape) > 1 else 1
            variable.assign(generator.normal(0, 1.4 / np.sqrt(fan), shape))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its arrays
    return model


def estimated(model: keras.Model, size: int) -> keras.Model:
    """Replace moving statistics by those of a random batch, layer by layer."""
    norms = [one for one in model._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]
    kept = [one.momentum for one in norms]
    images = np.random.default_rng(1).normal(size=(8, size, size, 3))
    try:
        for one in norms:
            one.momentum = 0.0
        model(keras.ops.convert_to_tensor(images.astype(keras.config.floatx())), training=True)
    finally:
        for one, momentum in zip(norms, kept, strict=True):
            one.momentum = momentum
    return model


def _builder(name: str):
    def build() -> keras.Model:
        size = SIZES.get(name, SIZE)
        made = getattr(keras.applications, name)
        model = made(input_shape=(size, size, 3), weights=None, classes=CLASSES, classifier_activation=None)
        return estimated(fill(model), size)

    return build


NAMES = (
    "VGG19", "DenseNet121", "MobileNetV2", "MobileNetV3Small", "InceptionV3", "ConvNeXtTiny", "EfficientNetB0",
    "ResNet50",
)  # fmt: skip
for _name in NAMES:
    globals()[_name] = _builder(_name)
