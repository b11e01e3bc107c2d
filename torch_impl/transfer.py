"""The transfer model in PyTorch: a backbone, global average pooling and a new head."""

from collections import OrderedDict

from torch import nn

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
    """Join a backbone and a head: ``(N, 3, H, W)`` images to probabilities ``(N, outputs)``.

    The weights are the layers' own random ones; `weights.from_arrays` sets others.

    Args:
        backbone: ``resnet50`` or ``vgg16``.
        variant: of the ResNet50, one of `resnet50.EPSILON`.
        width: factor on the number of channels of every layer of the backbone.
        numerics: ``native``, or ``matched`` (Keras's decay, variance rule and dropout masks that both draw alike).
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
    return _Transfer(body, head(body.channels, numerics, dropout, seed, outputs))


class _Transfer(nn.Sequential):
    def __init__(self, body, top):
        super().__init__()
        self.backbone = body
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = top

    def logits(self, x):
        """The output before the sigmoid or softmax, ``(N, outputs)``: what the loss is computed from."""
        return self.head.logits(self.pool(self.backbone(x)))


class _Body(nn.Sequential):
    """Backbone and pooling, under the policy that the whole model has at the time."""

    def __init__(self, model):
        super().__init__(OrderedDict(backbone=model.backbone, pool=model.pool))
        self._whole = [model]  # in a list, so that it isn't a module of this one

    @property
    def bn_policy(self):
        return getattr(self._whole[0], "bn_policy", None)


class _Head(nn.Sequential):
    def logits(self, x):
        for name, module in self.named_children():
            if name not in ("head_sigmoid", "head_softmax"):
                x = module(x)
        return x


def head(channels, numerics="native", dropout=0.5, seed=0, outputs=1):
    """Build the head: ``(N, channels)`` pooled features to ``(N, outputs)`` probabilities."""

    def drop(number):
        if numerics == "matched":
            return layers.CounterDropout(dropout, 2 * seed + number)
        return nn.Dropout(dropout)

    model = _Head()
    model.add_module("head_dense_1", nn.Linear(channels, 64))
    model.add_module("head_relu_1", nn.ReLU())
    model.add_module("head_dropout_1", drop(1))
    model.add_module("head_dense_2", nn.Linear(64, 64))
    model.add_module("head_relu_2", nn.ReLU())
    model.add_module("head_dropout_2", drop(2))
    model.add_module("head_output", nn.Linear(64, outputs))
    if outputs == 1:
        model.add_module("head_sigmoid", nn.Sigmoid())
    else:
        model.add_module("head_softmax", nn.Softmax(-1))
    return model


def twin(model):
    """Return a model of the same layers and weights, for evaluation: the model itself.

    DIFFERS: a Keras model keeps the graphs of its passes until it is compiled; PyTorch's has none.
    """
    return model


def parts(model):
    """Return a transfer model's backbone and head."""
    return model.backbone, model.head


def body(model):
    """Return what of a transfer model comes before the head: images to pooled features, the same layers."""
    return _Body(model)
