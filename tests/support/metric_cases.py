"""Predictions on which both frameworks' metrics must agree, as seeded arrays."""

import numpy as np


def cases():
    """Name -> (probabilities, labels): random, tied on the thresholds, saturated, one class only."""
    rng = np.random.default_rng(5)
    labels = (rng.random(500) < 0.3).astype(np.float32)
    scores = np.clip(0.3 * labels + rng.normal(0.35, 0.2, 500), 0, 1).astype(np.float32)
    return {
        "random": (scores, labels),
        "on-thresholds": (
            (np.arange(200) / 199).astype(np.float32),
            (np.arange(200) % 3 == 0).astype(np.float32),
        ),
        "saturated": (
            np.repeat([0, 1, 0.5, 1e-9], 25).astype(np.float32),
            np.tile([0.0, 1.0], 50).astype(np.float32),
        ),
        "negatives-only": (scores, np.zeros_like(labels)),
        "positives-only": (scores, np.ones_like(labels)),
    }
