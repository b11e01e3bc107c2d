"""ResNet50 without its classifier, in PyTorch.

``v1`` is keras.applications' network: stride in the first 1x1 convolution of a stage, biases in the
convolutions, epsilon 1.001e-5. ``v1.5`` is torchvision's: stride in the 3x3, no biases, epsilon 1e-5.

Files from before tf.keras fit keras.applications' earlier networks, which have an epsilon of 1e-3: ``v1-old`` (Keras
2.2.3 to 2.3.1), ``v1-old-unpadded`` (its first pooling isn't padded; 1.2.2 to 2.0.6, 2.1.5 to 2.2.2) and
``v1-old-same`` (nor is it, and the first convolution pads as "same"; 2.0.7 to 2.1.4).

Source: He et al. 2015, https://arxiv.org/abs/1512.03385
"""

from functools import partial

from torch import nn

from . import layers, releases

BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}  # stage -> number of blocks
CHANNELS = {2: 64, 3: 128, 4: 256, 5: 512}  # inside a block; its output has four times as many
EPSILON = {"v1": 1.001e-5, "v1.5": 1e-5, "v1-old": 1e-3, "v1-old-unpadded": 1e-3, "v1-old-same": 1e-3}
UNPADDED = ("v1-old-unpadded", "v1-old-same")  # the first pooling


def resnet50(variant="v1", width=1.0, numerics="native", release=None):
    """Build the backbone: ``(N, 3, H, W)`` preprocessed images to ``(N, 2048 * width, H/32, W/32)``.

    Args:
        variant: ``v1`` (Keras), ``v1.5`` (torchvision) or one of the older ones.
        width: factor on the number of channels of every layer.
        numerics: ``native`` (PyTorch's decay and variance rule) or ``matched`` (Keras's).
        release: one of `releases.RELEASES`, the Keras whose arithmetic batch normalisation has; None for today's.

    Raises:
        ValueError: an unknown variant or release.
    """
    if variant not in EPSILON:
        raise ValueError(f"variant is {variant!r}; it can be {', '.join(EPSILON)}")
    return _ResNet50(variant, width, _batch_norm(variant, numerics, release))


class _ResNet50(nn.Sequential):
    def __init__(self, variant, width, bn):
        super().__init__()
        channels_in = int(64 * width)
        same = variant == "v1-old-same"
        self.conv1_conv = layers.conv(3, channels_in, 7, stride=2, bias=variant != "v1.5", same=same)
        self.conv1_bn = bn(channels_in)
        self.conv1_relu = nn.ReLU()
        self.pool1_pool = layers.max_pool(3, 2, padding=0 if variant in UNPADDED else 1)
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
        bias = variant != "v1.5"
        stride1, stride2 = (1, stride) if variant == "v1.5" else (stride, 1)

        self.project = project
        if project:
            self.conv0 = layers.conv(channels_in, 4 * channels, 1, stride, bias)
            self.bn0 = bn(4 * channels)

        self.conv1 = layers.conv(channels_in, channels, 1, stride1, bias)
        self.bn1 = bn(channels)
        self.relu1 = nn.ReLU()

        self.conv2 = layers.conv(channels, channels, 3, stride2, bias)
        self.bn2 = bn(channels)
        self.relu2 = nn.ReLU()

        self.conv3 = layers.conv(channels, 4 * channels, 1, 1, bias)
        self.bn3 = bn(4 * channels)
        self.out = nn.ReLU()

    def forward(self, x):
        shortcut = self.bn0(self.conv0(x)) if self.project else x
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.out(shortcut + x)


def _batch_norm(variant, numerics, release):
    if release is not None:
        return partial(releases.BatchNorm, epsilon=EPSILON[variant], release=release)
    if numerics == "matched":
        return partial(
            layers.BatchNorm, epsilon=EPSILON[variant], decay=layers.KERAS_DECAY, variance="biased"
        )
    return partial(layers.BatchNorm, epsilon=EPSILON[variant])
