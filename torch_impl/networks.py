"""A network as a file's facts describe it: a backbone, a pooling and any dense layers, for inference and checks."""

import torch.nn.functional as F
from torch import nn

from .resnet50 import resnet50
from .vgg16 import vgg16

_ACTIVATIONS = {
    "linear": lambda x: x,
    "softmax": lambda x: F.softmax(x, -1),
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
}
ACTIVATIONS = tuple(_ACTIVATIONS)


def build(facts, dropout=True):
    """Build a network, its weights random: ``(N, 3, H, W)`` images to the last layer's output.

    Args:
        facts: ``backbone``, ``variant``, ``width``; ``epsilon`` and ``decay`` of batch normalisation; ``bias``:
            whether ResNet50's convolutions have one; ``pooling``: ``avg``, ``max`` or ``flatten``, which takes
            the map as (H, W, C) whatever the framework; ``side`` of the map that is flattened; ``top``: the
            dense layers in order, each with ``name``, ``units``, ``bias``, ``activation`` (one of
            `ACTIVATIONS`) and ``dropout``, the rate in front of it.
        dropout: False leaves dropout out.

    Returns:
        A model with the parts ``backbone``, ``pool`` and ``head``; without dense layers the output is the pooled
        features.
    """
    body = (
        resnet50(facts["variant"], facts["width"])
        if facts["backbone"] == "resnet50"
        else vgg16(facts["width"])
    )
    if facts["backbone"] == "resnet50":
        _adapt(body, facts)
    model = nn.Sequential()
    model.backbone = body
    model.pool = _Pool(facts["pooling"])
    model.head = nn.Sequential()
    channels = body.channels * facts["side"] ** 2 if facts["pooling"] == "flatten" else body.channels
    for layer in facts["top"]:
        if dropout and layer["dropout"]:
            model.head.add_module(f"{layer['name']}_dropout", nn.Dropout(layer["dropout"]))
        model.head.add_module(layer["name"], _Dense(channels, layer))
        channels = layer["units"]
    if not facts["top"]:
        model.head.add_module("features", nn.Identity())
    return model


def _adapt(body, facts):
    """Give a ResNet50's layers the epsilon, decay and biases that the facts name."""
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = facts["epsilon"], 1 - facts["decay"]
        elif isinstance(module, nn.Conv2d):
            bias = nn.Parameter(module.weight.new_zeros(module.out_channels)) if facts["bias"] else None
            module.register_parameter("bias", bias)


class _Pool(nn.Module):
    def __init__(self, pooling):
        super().__init__()
        self.pooling = pooling

    def forward(self, x):
        if self.pooling == "flatten":
            return x.permute(0, 2, 3, 1).flatten(1)
        return x.mean((2, 3)) if self.pooling == "avg" else x.amax((2, 3))


class _Dense(nn.Module):
    """A dense layer with its activation, as Keras has it."""

    def __init__(self, channels, facts):
        super().__init__()
        dense = nn.Linear(channels, facts["units"], facts["bias"])
        self.weight, self.bias = dense.weight, dense.bias
        self.activation = _ACTIVATIONS[facts["activation"]]

    def forward(self, x):
        return self.activation(F.linear(x, self.weight, self.bias))
