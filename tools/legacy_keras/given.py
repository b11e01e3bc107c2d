"""What every recording starts from: weights, batches and masks, the same numbers in every Python since 3.6.

They come from ``numpy.random.RandomState``, whose streams numpy keeps as they are.
"""

import zlib

import numpy as np

STEPS, BATCH, SIDE, CHANNELS = 20, 8, 6, (3, 4, 5)
OPTIMIZERS = {"sgd": 0.05, "adam": 0.01}  # and their learning rates


def batches():
    """Training batches: images (8, 6, 6, 3), dropout masks (8, 5) of 0 and 2, labels (8, 1), all float32."""
    rng = np.random.RandomState(1)
    found = []
    for _ in range(STEPS):
        images = rng.normal(size=(BATCH, SIDE, SIDE, 3)) * 1.5 + rng.uniform(-1, 1, 3)
        labels = (images.mean((1, 2, 3)) > images.mean())[:, None]
        masks = 2 * rng.randint(0, 2, (BATCH, CHANNELS[-1]))
        found.append(tuple(array.astype("float32") for array in (images, masks, labels)))
    return found


def network():
    """Weights of the small network, Keras's names and layout: convolution, BN, relu, twice; pooling, mask, dense."""
    rng = np.random.RandomState(2)
    arrays = {}
    for n in (1, 2):
        before, after = CHANNELS[n - 1 : n + 1]
        arrays["conv%d/kernel" % n] = rng.normal(size=(3, 3, before, after)) / (9 * before) ** 0.5
        arrays["conv%d/bias" % n] = rng.normal(size=after) / 4
        arrays["bn%d/gamma" % n] = rng.uniform(0.5, 1.5, after)
        arrays["bn%d/beta" % n] = rng.uniform(-0.5, 0.5, after)
        arrays["bn%d/moving_mean" % n] = rng.uniform(-1, 1, after)
        arrays["bn%d/moving_variance" % n] = rng.uniform(0.5, 4, after)
    arrays["dense/kernel"] = rng.normal(size=(CHANNELS[-1], 1))
    arrays["dense/bias"] = np.array([0.2])
    return {name: array.astype("float32") for name, array in arrays.items()}


def image():
    """The image that the ResNet50s see: (1, 224, 224, 3) float32, of both signs as after preprocessing."""
    return (100 * np.random.RandomState(3).normal(size=(1, 224, 224, 3))).astype("float32")


def layer_weights(name, shapes):
    """Weights of a ResNet50's layer by its name in that release, in Keras's order, under which activations keep size.

    Args:
        name: the layer's name.
        shapes: of a convolution's kernel and bias, or of gamma, beta, moving mean and variance.
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
    if len(shapes[0]) == 4:
        kernel = rng.normal(size=shapes[0]) * (2.0 / np.prod(shapes[0][:3])) ** 0.5
        arrays = [kernel, 0.1 * rng.normal(size=shapes[1])]
    else:
        ranges = ((0.3, 0.8), (-0.2, 0.2), (-0.2, 0.2), (0.5, 2.0))
        arrays = [rng.uniform(low, high, shape) for (low, high), shape in zip(ranges, shapes)]
    return [array.astype("float32") for array in arrays]
