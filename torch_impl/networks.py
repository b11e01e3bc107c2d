"""A network as a record describes it: a backbone, a pooling and any dense layers, for inference and checks."""

import torch
import torch.nn.functional as F
from torch import nn

from .resnet50 import resnet50
from .vgg16 import vgg16

ACTIVATIONS = (
    *("linear", "softmax", "relu", "sigmoid", "tanh"),
    *("elu", "gelu", "relu6", "selu", "silu"),
)
# TensorFlow's root of a half: it rounds it to float32, in float64, too
_ROOT = float(torch.tensor(0.5, dtype=torch.float32).sqrt())


def _gelu(x):
    """Compute GELU as Keras on TensorFlow does, which is PyTorch's but for that root: 5e-9 in float64."""
    return 0.5 * x * (1 + torch.erf(x * _ROOT))


_FUNCTIONS = (
    *(lambda x: x, lambda x: F.softmax(x, -1), F.relu, F.sigmoid, F.tanh),
    *(F.elu, _gelu, F.relu6, F.selu, F.silu),
)


def build(network, dropout=True, drawn=True):
    """Build a network, its weights random: ``(N, 3, H, W)`` images to the last layer's output.

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
        A model with the parts ``backbone``, ``pool`` and ``head``; without dense layers the output is the pooled
        features.
    """
    with torch.device("cpu" if drawn else "meta"):
        model = join(backbone(network), network, dropout)
    if not drawn:
        model.to_empty(device="cpu")
        for tensor in model.state_dict().values():
            tensor.zero_()
    return model


def backbone(network):
    """Build the backbone alone, with the record's epsilon, decay and biases.

    DIFFERS: the Keras one can give its layers other names; a state dict is given them when it is written.
    """
    if network.backbone == "vgg16":
        return vgg16(network.width)
    own = resnet50(network.variant, network.width)
    for module in own.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = network.epsilon, 1 - network.decay
        elif isinstance(module, nn.Conv2d):
            bias = nn.Parameter(module.weight.new_zeros(module.out_channels)) if network.bias else None
            module.register_parameter("bias", bias)
    return own


def join(body, network, dropout=True):
    """Join a backbone, its pooling and the dense layers as `transfer.build` does, each a part of its own."""
    model = nn.Sequential()
    model.backbone = body
    model.pool = _Pool(network.pooling)
    height, width = network.map if network.pooling == "flatten" else (1, 1)
    channels = body.channels * height * width
    layers = {}
    for layer in network.top:
        if dropout and layer.dropout:
            layers[f"{layer.name}_dropout"] = nn.Dropout(layer.dropout)
        layers[layer.name] = Dense(channels, layer)
        channels = layer.units
    model.head = _Head(layers or {"features": nn.Identity()})
    return model


def activation(name):
    """The function of one of `ACTIVATIONS`.

    DIFFERS: Keras's layers take the name.
    """
    return dict(zip(ACTIVATIONS, _FUNCTIONS, strict=True))[name]


class _Pool(nn.Module):
    def __init__(self, pooling):
        super().__init__()
        self.pooling = pooling

    def forward(self, x):
        if self.pooling == "none":
            return x
        if self.pooling == "flatten":
            return x.permute(0, 2, 3, 1).flatten(1)
        return x.mean((2, 3)) if self.pooling == "avg" else x.amax((2, 3))


class _Head(nn.Module):
    """Layers one after the other under names that may have dots, as ``fc.0`` does."""

    def __init__(self, layers):
        super().__init__()
        self.order = tuple(layers)
        for name, layer in layers.items():
            place, (*parts, last) = self, name.split(".")
            for part in parts:
                if not hasattr(place, part):
                    place.add_module(part, nn.Module())
                place = getattr(place, part)
            place.add_module(last, layer)

    def forward(self, x):
        for name in self.order:
            x = self.get_submodule(name)(x)
        return x


class Dense(nn.Module):
    """A dense layer with its activation, as Keras has it.

    Args:
        channels: that come in.
        layer: a record with ``units``, ``bias`` and ``activation``.
    """

    def __init__(self, channels, layer):
        super().__init__()
        dense = nn.Linear(channels, layer.units, layer.bias)
        self.weight, self.bias = dense.weight, dense.bias
        self.activation = activation(layer.activation)

    def forward(self, x):
        """Compute ``(N, channels)`` to ``(N, units)``."""
        return self.activation(F.linear(x, self.weight, self.bias))
