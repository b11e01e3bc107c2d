"""VGG16 without its classifier, in Keras. It has no batch normalisation.

Source: Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556 (configuration D)
"""

import keras

from . import layers

CONVS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}  # block -> number of convolutions
CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}


def vgg16(width=1.0):
    """Build the backbone: ``(N, H, W, 3)`` preprocessed images to ``(N, H/32, W/32, 512 * width)``.

    Args:
        width: factor on the number of channels of every layer.
    """
    inputs = x = keras.Input((None, None, 3), name="images")
    for block, convs in CONVS.items():
        for conv in range(1, convs + 1):
            name = f"block{block}_conv{conv}"
            x = layers.conv(x, int(CHANNELS[block] * width), 3, name=name)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        x = layers.max_pool(x, 2, 2, name=f"block{block}_pool")
    return keras.Model(inputs, x, name="vgg16")
