"""What both models are given: weights, images, labels. Pure functions of a seed, in numpy."""

from __future__ import annotations

import numpy as np

from compare.weights.shapes import shapes

FIRST = ("conv1_conv/kernel", "block1_conv1/kernel")
PREPROCESSING = {"v1": "caffe", "v1.5": "torch"}
PIXEL_SPREAD = {"v1": 60.0, "v1.5": 1.0}  # of what that makes of images


def random_arrays(backbone: str, variant: str, width: float, seed: int) -> dict[str, np.ndarray]:
    """Draw weights of a backbone in which every array matters: no gamma is 1, no bias and no mean is 0.

    Kernels keep the size of what goes through them (He et al. 2015). A block adds little to its shortcut, as in a
    trained network: a random one with batch statistics magnifies every rounding, by a fifth a layer (Yang et
    al. 2019, https://arxiv.org/abs/1902.08129).

    Returns:
        float32 arrays by neutral name.
    """
    generator = np.random.default_rng([seed, 0])
    spread = PIXEL_SPREAD[variant]
    table = sorted(shapes(backbone, variant, width).items())
    return {name: _draw(generator, name, shape, spread).astype(np.float32) for name, shape in table}


def _draw(generator: np.random.Generator, name: str, shape: tuple[int, ...], spread: float) -> np.ndarray:
    if name.endswith("/kernel"):
        size = np.sqrt(2 / np.prod(shape[:-1])) / (spread if name in FIRST else 1.0)
        return generator.normal(size=shape) * size
    if name.endswith("_3_bn/gamma"):  # the last of a block: what it adds to the shortcut stays small
        return generator.uniform(0.1, 0.3, shape)
    if name.endswith("/gamma"):
        return generator.uniform(0.5, 1.0, shape)
    if name.endswith("/moving_variance"):
        return generator.uniform(0.5, 2.0, shape)
    return 0.1 * generator.normal(size=shape)


def random_images(count: int, size: int, seed: int, batch: int = 0) -> np.ndarray:
    """Draw images that differ as photographs do: in colour, contrast and at every scale.

    Batch statistics of look-alike images are nearly zero, and dividing by them would magnify rounding.

    Returns:
        uint8 ``(count, size, size, 3)``.
    """
    generator = np.random.default_rng([seed, 1, batch])
    images = generator.uniform(80, 150, (count, 1, 1, 3)) + np.zeros((count, size, size, 3))
    for cells in (2, 4, 8, 16, 32, size):
        coarse = generator.normal(size=(count, cells, cells, 3)) * generator.uniform(5, 40, (count, 1, 1, 1))
        index = np.arange(size) * cells // size
        images += coarse[:, index][:, :, index]
    return images.clip(0, 255).astype(np.uint8)


def labels(count: int, classes: int = 2) -> np.ndarray:
    """Take the classes in turn: 0 and 1, float32 ``(count, 1)``; of more, ``(count, classes)``, 1 in the class's."""
    if classes == 2:
        return (np.arange(count, dtype=np.float32) % 2)[:, None]
    return np.eye(classes, dtype=np.float32)[np.arange(count) % classes]
