"""A network as a file's facts describe it: a backbone, a pooling and any dense layers, for inference and checks."""

import keras

from .layers import BatchNorm
from .resnet50 import resnet50
from .vgg16 import vgg16

ACTIVATIONS = ("linear", "softmax", "relu", "sigmoid", "tanh")


def build(facts, dropout=True):
    """Build a network of stock layers, its weights random: ``(N, H, W, 3)`` images to the last layer's output.

    Args:
        facts: ``backbone``, ``variant``, ``width``; ``epsilon`` and ``decay`` of batch normalisation; ``bias``:
            whether ResNet50's convolutions have one; ``pooling``: ``avg``, ``max`` or ``flatten``, which takes
            the map as (H, W, C) whatever the framework; ``side`` of the map that is flattened; ``top``: the
            dense layers in order, each with ``name``, ``units``, ``bias``, ``activation`` (one of
            `ACTIVATIONS`) and ``dropout``, the rate in front of it.
        dropout: False leaves dropout out.

    Returns:
        A model with the layers ``resnet50`` or ``vgg16``, ``pool`` and ``head``; without dense layers the output
        is the pooled features.
    """
    return _nested(_backbone(facts), facts, dropout)


def _nested(body, facts, dropout=True):
    """Join the parts as `transfer.build` does."""
    inputs = keras.Input(body.input_shape[1:], name="images")
    features = _pool(facts["pooling"])(body(inputs))
    x = start = keras.Input(features.shape[1:], name="features_in")
    x = _dense(x, facts, dropout) if facts["top"] else keras.layers.Identity(name="features")(x)
    head = keras.Model(start, x, name="head")
    return keras.Model(inputs, head(features), name=f"{facts['backbone']}_network")


def _flat(body, facts):
    """Put the dense layers onto the backbone's output, as keras.applications does."""
    if not facts["top"]:
        return body
    outputs = _dense(_pool(facts["pooling"])(body.output), facts, True)
    return keras.Model(body.input, outputs, name=facts["backbone"])


def _backbone(facts, names=()):
    """Build the backbone of stock layers with the facts' epsilon, decay and biases; ``names`` are other names."""
    size = 32 * facts["side"] if facts["pooling"] == "flatten" else None
    network = (
        resnet50(facts["variant"], facts["width"])
        if facts["backbone"] == "resnet50"
        else vgg16(facts["width"])
    )

    def stock(layer):
        name = dict(names).get(layer.name, layer.name)
        if isinstance(layer, BatchNorm):
            return keras.layers.BatchNormalization(
                momentum=facts["decay"], epsilon=facts["epsilon"], name=name
            )
        config = {**layer.get_config(), "name": name}
        if isinstance(layer, keras.layers.Conv2D):
            config["use_bias"] = facts["bias"]
        return type(layer).from_config(config)

    return keras.models.clone_model(network, keras.Input((size, size, 3), name="images"), stock)


def _pool(pooling):
    kinds = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }
    return kinds[pooling](name="pool")


def _dense(x, facts, dropout):
    for layer in facts["top"]:
        if dropout and layer["dropout"]:
            x = keras.layers.Dropout(layer["dropout"], name=f"{layer['name']}_dropout")(x)
        x = keras.layers.Dense(layer["units"], layer["activation"], layer["bias"], name=layer["name"])(x)
    return x
