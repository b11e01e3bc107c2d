"""ResNet50 without its classifier, in Keras.

``v1`` is keras.applications' network: stride in the first 1x1 convolution of a stage, biases in the
convolutions, epsilon 1.001e-5. ``v1.5`` is torchvision's: stride in the 3x3, no biases, epsilon 1e-5.

Source: He et al. 2015, https://arxiv.org/abs/1512.03385
"""

from functools import partial

import keras

from . import layers, releases

BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}  # stage -> number of blocks
CHANNELS = {2: 64, 3: 128, 4: 256, 5: 512}  # inside a block; its output has four times as many
EPSILON = {"v1": 1.001e-5, "v1.5": 1e-5}


def resnet50(variant="v1", width=1.0, numerics="native", release=None):
    """Build the backbone: ``(N, H, W, 3)`` preprocessed images to ``(N, H/32, W/32, 2048 * width)``.

    Args:
        variant: ``v1`` (Keras) or ``v1.5`` (torchvision).
        width: factor on the number of channels of every layer.
        numerics: ``native`` and ``matched`` are the same here; PyTorch's side takes over these numbers.
        release: one of `releases.RELEASES`, the Keras whose arithmetic batch normalisation has; None for today's.

    Raises:
        ValueError: ``variant`` is neither of the two, or an unknown release.
    """
    if variant not in EPSILON:
        raise ValueError(f"variant is {variant!r}; it can be 'v1' or 'v1.5'")
    bn = _batch_norm(variant, release)
    inputs = keras.Input((None, None, 3), name="images")
    x = layers.conv(inputs, int(64 * width), 7, stride=2, bias=variant == "v1", name="conv1_conv")
    x = bn(name="conv1_bn")(x)
    x = keras.layers.ReLU(name="conv1_relu")(x)
    x = layers.max_pool(x, 3, 2, padding=1, name="pool1_pool")
    for stage, blocks in BLOCKS.items():
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            name = f"conv{stage}_block{block}"
            x = _bottleneck(x, int(CHANNELS[stage] * width), stride, block == 1, variant, bn, name)
    return keras.Model(inputs, x, name="resnet50")


def _bottleneck(x, channels, stride, project, variant, bn, name):
    """1x1, 3x3, 1x1 convolutions beside a shortcut, which is a 1x1 convolution in a stage's first block."""
    bias = variant == "v1"
    stride1, stride2 = (stride, 1) if variant == "v1" else (1, stride)

    shortcut = x
    if project:
        shortcut = layers.conv(x, 4 * channels, 1, stride, bias, name=f"{name}_0_conv")
        shortcut = bn(name=f"{name}_0_bn")(shortcut)

    x = layers.conv(x, channels, 1, stride1, bias, name=f"{name}_1_conv")
    x = bn(name=f"{name}_1_bn")(x)
    x = keras.layers.ReLU(name=f"{name}_1_relu")(x)

    x = layers.conv(x, channels, 3, stride2, bias, name=f"{name}_2_conv")
    x = bn(name=f"{name}_2_bn")(x)
    x = keras.layers.ReLU(name=f"{name}_2_relu")(x)

    x = layers.conv(x, 4 * channels, 1, 1, bias, name=f"{name}_3_conv")
    x = bn(name=f"{name}_3_bn")(x)

    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.ReLU(name=f"{name}_out")(x)


def _batch_norm(variant, release):
    if release is not None:
        return partial(releases.BatchNorm, EPSILON[variant], release=release)
    return partial(layers.BatchNorm, EPSILON[variant])
