"""Names and shapes of a backbone's arrays, and random ones of these shapes. Imports no framework."""

from __future__ import annotations

import numpy as np

Shapes = dict[str, tuple[int, ...]]


def shapes(backbone: str, variant: str, width: float) -> Shapes:
    """Map the names of a backbone's arrays to their shapes, in Keras's layout.

    Args:
        backbone: ``resnet50`` or ``vgg16``.
        variant: of the ResNet50: ``v1.5`` has no biases in its convolutions, the others have.
        width: factor on the number of channels of every layer.
    """
    return _resnet50(variant != "v1.5", width) if backbone == "resnet50" else _vgg16(width)


def random_arrays(backbone: str, variant: str, width: float, seed: int) -> dict[str, np.ndarray]:
    """Draw float32 arrays as a network starts: kernels normal, the rest such that BN changes nothing.

    The kernels' variance is 2 / (height * width * channels in): He et al. 2015,
    https://arxiv.org/abs/1502.01852, section 2.2.
    """
    generator = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes(backbone, variant, width).items():
        if name.endswith("/kernel"):
            scale = np.float32((2 / np.prod(shape[:-1])) ** 0.5)
            arrays[name] = generator.standard_normal(shape, np.float32) * scale
        else:
            ones = name.endswith(("/gamma", "/moving_variance"))
            arrays[name] = np.full(shape, 1 if ones else 0, np.float32)
    return arrays


def _resnet50(bias: bool, width: float) -> Shapes:
    channels_in = int(64 * width)
    table = _conv("conv1_conv", 7, 3, channels_in, bias) | _batch_norm("conv1_bn", channels_in)
    for stage, blocks in {2: 3, 3: 4, 4: 6, 5: 3}.items():
        inner = int(64 * 2 ** (stage - 2) * width)
        for block in range(1, blocks + 1):
            name, outer = f"conv{stage}_block{block}", 4 * inner
            layers = [(1, 1, channels_in, inner), (2, 3, inner, inner), (3, 1, inner, outer)]
            if block == 1:
                layers.append((0, 1, channels_in, outer))
            for n, size, before, after in layers:
                table |= _conv(f"{name}_{n}_conv", size, before, after, bias)
                table |= _batch_norm(f"{name}_{n}_bn", after)
            channels_in = outer
    return table


def _vgg16(width: float) -> Shapes:
    table: Shapes = {}
    channels_in = 3
    for block, (convs, full) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for n in range(1, convs + 1):
            table |= _conv(f"block{block}_conv{n}", 3, channels_in, int(full * width), True)
            channels_in = int(full * width)
    return table


def _conv(name: str, size: int, channels_in: int, channels: int, bias: bool) -> Shapes:
    table: Shapes = {f"{name}/kernel": (size, size, channels_in, channels)}
    return table | {f"{name}/bias": (channels,)} if bias else table


def _batch_norm(name: str, channels: int) -> Shapes:
    return {f"{name}/{kind}": (channels,) for kind in ("gamma", "beta", "moving_mean", "moving_variance")}
