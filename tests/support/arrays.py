"""Random, seeded, non-trivial weights for tests: never batch normalisation at its initial state."""

import numpy as np


def random_arrays(like, seed=0):
    """Arrays shaped as in ``like`` under which a deep network's activations keep their size."""
    rng = np.random.default_rng(seed)
    return {name: _draw(rng, name, array) for name, array in sorted(like.items())}


def _draw(rng, name, array):
    if name.endswith("/kernel"):
        values = rng.normal(size=array.shape) * np.sqrt(2 / np.prod(array.shape[:-1]))
    elif name.endswith("/gamma"):
        values = rng.uniform(0.3, 0.8, array.shape)
    elif name.endswith("/moving_variance"):
        values = rng.uniform(0.5, 2.0, array.shape)
    else:
        values = 0.1 * rng.normal(size=array.shape)
    return values.astype(array.dtype)


def relative(a, b):
    """The largest difference, relative to the largest value."""
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max())
