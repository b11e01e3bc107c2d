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


def cases_of_classes():
    """Name -> (probabilities (N, K), labels): random, one class never there, all of one class, ties."""
    rng = np.random.default_rng(6)

    def case(classes, there, n=300, sharpness=1.5):
        labels = np.eye(classes, dtype=np.float32)[rng.integers(0, there, n)]
        scores = np.exp(sharpness * labels + rng.normal(0, 1, (n, classes)))
        return (scores / scores.sum(1, keepdims=True)).astype(np.float32), labels

    uniform = np.full((12, 4), 0.25, np.float32)
    return {
        "three": case(3, 3),
        "ten": case(10, 10),
        "one never there": case(4, 3),
        "all of one": case(3, 1),
        "ties": (uniform, np.eye(4, dtype=np.float32)[np.arange(12) % 4]),
    }
