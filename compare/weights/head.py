"""The head that every training starts from, in either framework."""

from __future__ import annotations

import numpy as np


def head_arrays(like: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Draw a new head: Glorot-uniform kernels and zero biases, float32, shaped as in ``like``."""
    rng = np.random.default_rng([seed, 1])
    arrays = {}
    for name, array in sorted(like.items()):
        limit = np.sqrt(6 / sum(array.shape)) if name.endswith("/kernel") else 0.0
        arrays[name] = rng.uniform(-limit, limit, array.shape).astype(np.float32)
    return arrays
