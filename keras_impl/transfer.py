"""The transfer model in Keras: a backbone, global average pooling and a new head."""

import keras

from . import layers
from .resnet50 import resnet50
from .vgg16 import vgg16


def build(
    backbone="resnet50",
    variant="v1",
    width=1.0,
    *,
    numerics="native",
    dropout=0.5,
    seed=0,
    release=None,
    outputs=1,
):
    """Join a backbone and a head: ``(N, H, W, 3)`` images to probabilities ``(N, outputs)``.

    The weights are the layers' own random ones; `weights.from_arrays` sets others.

    Args:
        backbone: ``resnet50`` or ``vgg16``.
        variant: of the ResNet50, one of `resnet50.EPSILON`.
        width: factor on the number of channels of every layer of the backbone.
        numerics: ``native``, or ``matched`` (dropout masks that both frameworks draw alike).
        dropout: rate of the two dropout layers, in [0, 1).
        seed: of the dropout masks.
        release: one of `releases.RELEASES`, the Keras whose arithmetic batch normalisation has; None for today's.
        outputs: 1 for two classes, the probability of the positive one; else the number of classes.

    Raises:
        ValueError: an unknown backbone, variant or release.
    """
    if backbone == "resnet50":
        body = resnet50(variant, width, numerics, release)
    elif backbone == "vgg16":
        body = vgg16(width)
    else:
        raise ValueError(f"backbone is {backbone!r}; it can be 'resnet50' or 'vgg16'")
    inputs = keras.Input((None, None, 3), name="images")
    features = keras.layers.GlobalAveragePooling2D(name="pool")(body(inputs))
    probabilities = head(features.shape[-1], numerics, dropout, seed, outputs)(features)
    return keras.Model(inputs, probabilities, name=f"{backbone}_transfer")


def head(channels, numerics="native", dropout=0.5, seed=0, outputs=1):
    """Build the head: ``(N, channels)`` pooled features to ``(N, outputs)`` probabilities."""
    drop = layers.CounterDropout if numerics == "matched" else keras.layers.Dropout
    inputs = keras.Input((channels,), name="features")
    x = keras.layers.Dense(64, activation="relu", name="head_dense_1")(inputs)
    x = drop(dropout, seed=2 * seed + 1, name="head_dropout_1")(x)
    x = keras.layers.Dense(64, activation="relu", name="head_dense_2")(x)
    x = drop(dropout, seed=2 * seed + 2, name="head_dropout_2")(x)
    activation = "sigmoid" if outputs == 1 else "softmax"
    probabilities = keras.layers.Dense(outputs, activation=activation, name="head_output")(x)
    return keras.Model(inputs, probabilities, name="head")


def twin(model):
    """Return a model of the same layers and weights, for evaluation.

    DIFFERS: a Keras model keeps the graphs of its passes until it is compiled, and each training compiles. The twin
    is compiled once, so that its graph serves every training of these layers.
    """
    return keras.Model(model.input, model.output)


def parts(model):
    """Return a transfer model's backbone and head."""
    body = next(layer for layer in model.layers if layer.name in ("resnet50", "vgg16"))
    return body, model.get_layer("head")


def body(model):
    """Return what of a transfer model comes before the head: images to pooled features, the same layers."""
    return keras.Model(model.input, model.get_layer("pool").output)
