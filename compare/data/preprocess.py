"""Pixels to network input, the one place where it happens."""

from __future__ import annotations

import numpy as np

from compare.spec import choose

MODES = ("caffe", "torch")
CAFFE_MEAN = (103.939, 116.779, 123.68)  # B, G, R
TORCH_MEAN = (0.485, 0.456, 0.406)  # R, G, B
TORCH_STD = (0.229, 0.224, 0.225)


def preprocess(images: np.ndarray, mode: str) -> np.ndarray:
    """Turn pixels into what pretrained weights expect.

    ``caffe``: RGB 0..255 to BGR minus ImageNet's mean: -123.7..151.1 (keras.applications' ResNet50, VGG16).
    ``torch``: RGB / 255 minus ImageNet's mean, over its standard deviation: -2.12..2.64 (torchvision's).

    Args:
        images: uint8 (n, h, w, 3), RGB.
        mode: ``caffe`` or ``torch``.

    Returns:
        float32 (n, h, w, 3), C-contiguous.

    Raises:
        ValueError: the images aren't uint8 RGB, or the mode is neither (InputError).
    """
    choose("preprocessing", mode, MODES)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images is {images.dtype} {images.shape}; it must be uint8 (n, h, w, 3)")
    pixels = np.empty(images.shape, np.float32)
    # channel by channel: a last axis of three takes NumPy three times as long
    for channel in range(3):
        into = pixels[..., channel]
        if mode == "caffe":
            np.subtract(images[..., 2 - channel], np.float32(CAFFE_MEAN[channel]), out=into)
        else:
            np.divide(images[..., channel], np.float32(255), out=into)
            into -= np.float32(TORCH_MEAN[channel])
            into /= np.float32(TORCH_STD[channel])
    return pixels
