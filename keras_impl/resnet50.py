"""ResNet50 without its classifier, in Keras.

``v1`` is keras.applications' network: stride in the first 1x1 convolution of a stage, biases in the
convolutions, epsilon 1.001e-5. ``v1.5`` is torchvision's: stride in the 3x3, no biases, epsilon 1e-5.

Files from before tf.keras fit keras.applications' earlier networks, which have an epsilon of 1e-3: ``v1-old`` (Keras
2.2.3 to 2.3.1), ``v1-old-unpadded`` (its first pooling isn't padded; 1.2.2 to 2.0.6, 2.1.5 to 2.2.2) and
``v1-old-same`` (nor is it, and the first convolution pads as "same"; 2.0.7 to 2.1.4).

Source: He et al. 2015, https://arxiv.org/abs/1512.03385
"""

from functools import partial

import keras

from . import layers, releases

BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}  # stage -> number of blocks
CHANNELS = {2: 64, 3: 128, 4: 256, 5: 512}  # inside a block; its output has four times as many
EPSILON = {"v1": 1.001e-5, "v1.5": 1e-5, "v1-old": 1e-3, "v1-old-unpadded": 1e-3, "v1-old-same": 1e-3}
UNPADDED = ("v1-old-unpadded", "v1-old-same")  # the first pooling


def resnet50(variant="v1", width=1.0, numerics="native", release=None):
    """Build the backbone: ``(N, H, W, 3)`` preprocessed images to ``(N, H/32, W/32, 2048 * width)``.

    Args:
        variant: ``v1`` (Keras), ``v1.5`` (torchvision) or one of the older ones.
        width: factor on the number of channels of every layer.
        numerics: ``native`` and ``matched`` are the same here; PyTorch's side takes over these numbers.
        release: one of `releases.RELEASES`, the Keras whose arithmetic batch normalisation has; None for today's.

    Raises:
        ValueError: an unknown variant or release.
    """
    if variant not in EPSILON:
        raise ValueError(f"variant is {variant!r}; it can be {', '.join(EPSILON)}")
    bn = _batch_norm(variant, release)
    inputs = keras.Input((None, None, 3), name="images")
    bias, same = variant != "v1.5", variant == "v1-old-same"
    x = layers.conv(inputs, int(64 * width), 7, stride=2, bias=bias, same=same, name="conv1_conv")
    x = bn(name="conv1_bn")(x)
    x = keras.layers.ReLU(name="conv1_relu")(x)
    x = layers.max_pool(x, 3, 2, padding=0 if variant in UNPADDED else 1, name="pool1_pool")
    for stage, blocks in BLOCKS.items():
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            name = f"conv{stage}_block{block}"
            x = _bottleneck(x, int(CHANNELS[stage] * width), stride, block == 1, variant, bn, name)
    return keras.Model(inputs, x, name="resnet50")


def _bottleneck(x, channels, stride, project, variant, bn, name):
    """1x1, 3x3, 1x1 convolutions beside a shortcut, which is a 1x1 convolution in a stage's first block."""
    bias = variant != "v1.5"
    stride1, stride2 = (1, stride) if variant == "v1.5" else (stride, 1)

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
