"""ResNet50 without its classifier, in PyTorch.

``v1`` is keras.applications' network: stride in the first 1x1 convolution of a stage, biases in the
convolutions, epsilon 1.001e-5. ``v1.5`` is torchvision's: stride in the 3x3, no biases, epsilon 1e-5.

Source: He et al. 2015, https://arxiv.org/abs/1512.03385
"""

from functools import partial

from torch import nn

from . import layers, releases

BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}  # stage -> number of blocks
CHANNELS = {2: 64, 3: 128, 4: 256, 5: 512}  # inside a block; its output has four times as many
EPSILON = {"v1": 1.001e-5, "v1.5": 1e-5}


def resnet50(variant="v1", width=1.0, numerics="native", release=None):
    """Build the backbone: ``(N, 3, H, W)`` preprocessed images to ``(N, 2048 * width, H/32, W/32)``.

    Args:
        variant: ``v1`` (Keras) or ``v1.5`` (torchvision).
        width: factor on the number of channels of every layer.
        numerics: ``native`` (PyTorch's decay and variance rule) or ``matched`` (Keras's).
        release: one of `releases.RELEASES`, the Keras whose arithmetic batch normalisation has; None for today's.

    Raises:
        ValueError: ``variant`` is neither of the two, or an unknown release.
    """
    if variant not in EPSILON:
        raise ValueError(f"variant is {variant!r}; it can be 'v1' or 'v1.5'")
    return _ResNet50(variant, width, _batch_norm(variant, numerics, release))


class _ResNet50(nn.Sequential):
    def __init__(self, variant, width, bn):
        super().__init__()
        channels_in = int(64 * width)
        self.conv1_conv = layers.conv(3, channels_in, 7, stride=2, bias=variant == "v1")
        self.conv1_bn = bn(channels_in)
        self.conv1_relu = nn.ReLU()
        self.pool1_pool = layers.max_pool(3, 2, padding=1)
        for stage, blocks in BLOCKS.items():
            for block in range(1, blocks + 1):
                stride = 2 if block == 1 and stage > 2 else 1
                channels = int(CHANNELS[stage] * width)
                module = _Bottleneck(channels_in, channels, stride, block == 1, variant, bn)
                self.add_module(f"conv{stage}_block{block}", module)
                channels_in = 4 * channels
        self.channels = channels_in


class _Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut, which is a 1x1 convolution in a stage's first block."""

    def __init__(self, channels_in, channels, stride, project, variant, bn):
        super().__init__()
        bias = variant == "v1"
        stride1, stride2 = (stride, 1) if variant == "v1" else (1, stride)

        self.project = project
        if project:
            self.conv0 = layers.conv(channels_in, 4 * channels, 1, stride, bias)
            self.bn0 = bn(4 * channels)

        self.conv1 = layers.conv(channels_in, channels, 1, stride1, bias)
        self.bn1 = bn(channels)

        self.conv2 = layers.conv(channels, channels, 3, stride2, bias)
        self.bn2 = bn(channels)

        self.conv3 = layers.conv(channels, 4 * channels, 1, 1, bias)
        self.bn3 = bn(4 * channels)
        self.relu = nn.ReLU()

    def forward(self, x):
        shortcut = self.bn0(self.conv0(x)) if self.project else x
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu(shortcut + x)


def _batch_norm(variant, numerics, release):
    if release is not None:
        return partial(releases.BatchNorm, epsilon=EPSILON[variant], release=release)
    if numerics == "matched":
        return partial(
            layers.BatchNorm, epsilon=EPSILON[variant], decay=layers.KERAS_DECAY, variance="biased"
        )
    return partial(layers.BatchNorm, epsilon=EPSILON[variant])
