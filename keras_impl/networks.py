"""A network as a record describes it: a backbone, a pooling and any dense layers, for inference and checks."""

import keras

from .layers import BatchNorm
from .resnet50 import resnet50
from .vgg16 import vgg16

ACTIVATIONS = (
    *("linear", "softmax", "relu", "sigmoid", "tanh"),
    *("elu", "gelu", "relu6", "selu", "silu"),
)


def build(network, dropout=True, drawn=True):
    """Build a network of stock layers, its weights random: ``(N, H, W, 3)`` images to the last layer's output.

    Args:
        network: a record with ``backbone``, ``variant``, ``width``; ``epsilon`` and ``decay`` of batch
            normalisation; ``bias``: whether ResNet50's convolutions have one; ``pooling``: ``none``, ``avg``, ``max``
            or ``flatten``, which takes the map as (H, W, C) whatever the framework; ``map``: height and width of
            the map that is flattened, ``size``: those of the images then; ``top``: the dense layers in order, each
            with ``name``, ``units``, ``bias``, ``activation`` (one of `ACTIVATIONS`) and ``dropout``, the rate in
            front of it.
        dropout: False leaves dropout out.
        drawn: False leaves all weights zero, which takes less time and memory where others are set anyway.

    Returns:
        A model with the layers ``resnet50`` or ``vgg16``, ``pool`` and ``head``; without dense layers the output
        is the pooled features.
    """
    kernels = "glorot_uniform" if drawn else "zeros"
    return join(backbone(network, kernels=kernels), network, dropout, kernels=kernels)


def backbone(network, names=(), kernels="glorot_uniform"):
    """Build the backbone alone, of stock layers, with the record's epsilon, decay and biases.

    Args:
        names: layer -> other name that it is to have.
        kernels: how they are initialized.
    """
    size = network.size if network.pooling == "flatten" else (None, None)
    own = resnet50(network.variant, network.width) if network.backbone == "resnet50" else vgg16(network.width)

    def stock(layer):
        name = dict(names).get(layer.name, layer.name)
        if isinstance(layer, BatchNorm):
            return keras.layers.BatchNormalization(momentum=network.decay, epsilon=network.epsilon, name=name)
        config = {**layer.get_config(), "name": name}
        if isinstance(layer, keras.layers.Conv2D):
            config |= {"use_bias": network.bias, "kernel_initializer": kernels}
        return type(layer).from_config(config)

    return keras.models.clone_model(own, keras.Input((*size, 3), name="images"), stock)


def join(body, network, dropout=True, names=(), kernels="glorot_uniform"):
    """Join a backbone, its pooling and the dense layers as `transfer.build` does, each a part of its own."""
    inputs = keras.Input(body.input_shape[1:], name="images")
    features = _pool(network.pooling)(body(inputs))
    x = start = keras.Input(features.shape[1:], name="features_in")
    features_out = keras.layers.Identity(name="features")
    x = _dense(x, network, dropout, names, kernels) if network.top else features_out(x)
    head = keras.Model(start, x, name="head")
    return keras.Model(inputs, head(features), name=f"{network.backbone}_network")


def flat(body, network, names=()):
    """Put the dense layers onto the backbone's output, one model without parts, as keras.applications does."""
    if network.pooling == "none":
        return body
    x = _pool(network.pooling)(body.output)
    return keras.Model(body.input, _dense(x, network, True, names), name=network.backbone)


def _pool(pooling):
    kinds = {
        "none": keras.layers.Identity,
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }
    return kinds[pooling](name="pool")


def _dense(x, network, dropout, names, kernels="glorot_uniform"):
    for layer in network.top:
        name = dict(names).get(layer.name, layer.name)
        if dropout and layer.dropout:
            x = keras.layers.Dropout(layer.dropout, name=f"{name}_dropout")(x)
        dense = keras.layers.Dense(layer.units, layer.activation, layer.bias, kernels, name=name)
        x = dense(x)
    return x
