"""VGG16 without its classifier, in PyTorch. It has no batch normalisation.

Source: Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556 (configuration D)
"""

from torch import nn

from . import layers

CONVS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}  # block -> number of convolutions
CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}


def vgg16(width=1.0):
    """Build the backbone: ``(N, 3, H, W)`` preprocessed images to ``(N, 512 * width, H/32, W/32)``.

    Args:
        width: factor on the number of channels of every layer.
    """
    model = nn.Sequential()
    channels_in = 3
    for block, convs in CONVS.items():
        for conv in range(1, convs + 1):
            name = f"block{block}_conv{conv}"
            model.add_module(name, layers.conv(channels_in, int(CHANNELS[block] * width), 3))
            model.add_module(f"{name}_relu", nn.ReLU())
            channels_in = int(CHANNELS[block] * width)
        model.add_module(f"block{block}_pool", layers.max_pool(2, 2))
    model.channels = channels_in
    return model
