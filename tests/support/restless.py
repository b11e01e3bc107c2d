"""Weights as a new network has them, under batch norms that a training has moved: each layer magnifies rounding."""

import numpy as np

from compare.weights.shapes import shapes


def restless_arrays(backbone, variant, width, seed):
    """Draw kernels by He et al. (2015), gammas about 1 in every layer, and statistics and shifts about 0."""
    generator = np.random.default_rng([seed, 7])
    table = sorted(shapes(backbone, variant, width).items())
    return {name: _draw(generator, name, shape).astype(np.float32) for name, shape in table}


def _draw(generator, name, shape):
    if name.endswith("/kernel"):
        return generator.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
    if name.endswith("/gamma"):
        return generator.uniform(0.5, 1.5, shape)
    if name.endswith("/moving_variance"):
        return generator.uniform(0.5, 2.0, shape)
    return 0.1 * generator.normal(size=shape)
