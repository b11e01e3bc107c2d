"""torchvision's networks as they are, and with one difference from `keras.applications` after another mended.

`MobileNetV2_0` is torchvision's own, `MobileNetV2_1` has the first of its `MENDS`, and so on; the last is the same
function as Keras's, through training.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision.models as M
from torch import nn
from torchvision.ops import StochasticDepth

CLASSES = 10
Mend = Callable[[nn.Module], nn.Module]


class SameConv(nn.Conv2d):
    """A convolution padded as Keras's ``same``: the odd zero below and on the right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``(N, C, H, W)``."""
        sides: list[int] = []
        for size, kernel, stride in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, sides), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def padded(model: nn.Module) -> nn.Module:
    """Pad every convolution of a stride above one as Keras does."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.stride[0] > 1 and module.padding[0]:
            module.__class__ = SameConv
    return model


def norms(**settings: float) -> Mend:
    """Set attributes of every batch normalisation."""

    def mend(model: nn.Module) -> nn.Module:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for key, value in settings.items():
                    setattr(module, key, value)
        return model

    return mend


def undropped(kind: type[nn.Module], rate: float = 0.0) -> Mend:
    """Set every dropout of a kind to a rate."""

    def mend(model: nn.Module) -> nn.Module:
        for module in model.modules():
            if type(module) is kind:
                module.p = rate
        return model

    return mend


class Standardized(nn.Module):
    """A network behind Keras's ``Rescaling`` and ``Normalization``: buffers that hold what Keras's layer holds."""

    def __init__(self, net: nn.Module, scale: float, mean: list[float], variance: list[float]) -> None:
        super().__init__()
        self.net, self.scale = net, scale
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("variance", torch.tensor(variance).reshape(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute ``(N, C, H, W)``'s logits."""
        return self.net((x * self.scale - self.mean) / torch.sqrt(self.variance).clamp(min=1e-7))


def rescaled(model: nn.Module) -> nn.Module:
    """Rescale 0..255 to -1..1 inside the model, as Keras's MobileNetV3 does."""
    return nn.Sequential(Affine(1 / 127.5, -1.0), model)


class Affine(nn.Module):
    """``x * scale + offset``."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute it."""
        return x * self.scale + self.offset


def uncounted(model: nn.Module) -> nn.Module:
    """Leave the border out of every mean of 3x3, as Keras's average pooling does."""
    pool = F.avg_pool2d

    def mean(x: torch.Tensor, *args: int, **kwargs: int) -> torch.Tensor:
        return pool(x, *args, **kwargs, count_include_pad=False)

    for module in model.modules():
        if type(module).__name__ in ("InceptionA", "InceptionC", "InceptionE"):
            _with(module, mean)
    return model


def _with(module: nn.Module, mean: Callable) -> None:
    """Have a module's own functional pooling be another."""
    own = type(module).forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        before = F.avg_pool2d
        F.avg_pool2d = mean
        try:
            return own(module, x)
        finally:
            F.avg_pool2d = before

    module.forward = forward


def strided(model: nn.Module) -> nn.Module:
    """Put a block's stride into its first convolution, of 1x1, where Keras has it."""
    for block in model.modules():
        if type(block).__name__ == "Bottleneck" and block.conv2.stride[0] > 1:
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    return model


def biased(model: nn.Module) -> nn.Module:
    """Give every convolution a bias, as Keras's have one."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
    return model


def gammas_fixed(model: nn.Module) -> nn.Module:
    """Fix every gamma: Keras's batch normalisation has none."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.requires_grad_(False)
    return model


def fitted(model: nn.Module) -> nn.Module:
    """Fit VGG's head to 64 pixels: Keras flattens the 2x2 map that is there, torchvision pools it to 7x7."""
    model.avgpool = nn.Identity()
    model.classifier[0] = nn.Linear(512 * 2 * 2, 4096)
    return model


# name -> torchvision's own; what is mended, in the order in which it is found
MODELS: dict[str, Callable[[], nn.Module]] = {
    "VGG19": lambda: M.vgg19(num_classes=CLASSES),
    "DenseNet121": lambda: M.densenet121(num_classes=CLASSES),
    "MobileNetV2": lambda: M.mobilenet_v2(num_classes=CLASSES),
    "MobileNetV3Small": lambda: M.mobilenet_v3_small(num_classes=CLASSES),
    "InceptionV3": lambda: M.inception_v3(num_classes=CLASSES, aux_logits=False, init_weights=False),
    "ConvNeXtTiny": lambda: M.convnext_tiny(num_classes=CLASSES),
    "EfficientNetB0": lambda: M.efficientnet_b0(num_classes=CLASSES),
    "ResNet50": lambda: M.resnet50(num_classes=CLASSES),
}
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of 0..1
MENDS: dict[str, list[Mend]] = {
    "VGG19": [fitted, undropped(nn.Dropout)],
    "DenseNet121": [norms(eps=1.001e-5), norms(momentum=0.01)],
    "MobileNetV2": [padded, norms(eps=1e-3), norms(momentum=0.001), undropped(nn.Dropout)],
    "MobileNetV3Small": [rescaled, padded, norms(momentum=0.001)],
    "InceptionV3": [norms(momentum=0.01), uncounted, undropped(nn.Dropout), gammas_fixed],
    "ConvNeXtTiny": [
        lambda net: Standardized(net, 1.0, [m * 255 for m in MEAN], [(s * 255) ** 2 for s in SPREAD]),
        undropped(StochasticDepth),
    ],
    "EfficientNetB0": [
        lambda net: Standardized(net, 1 / 255, [0.0] * 3, [1.0] * 3),
        padded,
        norms(eps=1e-3),
        norms(momentum=0.01),
    ],
    "ResNet50": [biased, norms(eps=1.001e-5), norms(momentum=0.01), strided],
}


def _builder(name: str, count: int) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        torch.manual_seed(0)
        model = MODELS[name]()
        for mend in MENDS[name][:count]:
            model = mend(model)
        return model

    return build


for _name, _mends in MENDS.items():
    for _count in range(len(_mends) + 1):
        globals()[f"{_name}_{_count}"] = _builder(_name, _count)
