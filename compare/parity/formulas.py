"""PyTorch's own rules, written out in numpy: what its moving statistics and its optimizers make of a step.

Both proofs predict with them: that of the reference networks, step by step, and that of any pair.
"""

from __future__ import annotations

import numpy as np


def moved(before: np.ndarray, batch: np.ndarray, kept: float, n: int | None = None) -> np.ndarray:
    """A moving statistic after a batch.

    Args:
        batch: the batch's own, divided by n.
        kept: share of the old value that a step keeps.
        n: values a channel, where the batch's is taken in divided by n - 1; None takes it in as it is.
    """
    return kept * before + (1 - kept) * (batch if n is None else batch * (n / max(n - 1, 1)))


def batch_of(before: np.ndarray, after: np.ndarray, kept: float) -> np.ndarray:
    """The batch's own statistic that moved ``before`` to ``after``."""
    return (after - kept * before) / (1 - kept)


def rmsprop(
    weight: np.ndarray,
    gradient: np.ndarray,
    square: np.ndarray,
    rate: float,
    decay: float,
    epsilon: float,
    centered: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """RMSprop's step and its mean square; epsilon is added to the root.

    Args:
        centered: this is the first step, and the squared mean of the gradient is taken off its mean square.
    """
    square = decay * square + (1 - decay) * gradient**2
    spread = square - ((1 - decay) * gradient) ** 2 if centered else square
    return weight - rate * gradient / (np.sqrt(spread) + epsilon), square


def adam(
    weight: np.ndarray,
    gradient: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray],
    step: int,
    rate: float,
    decays: tuple[float, float],
    epsilon: float,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adam's or AdamW's step and both moments; epsilon is added to the corrected root.

    Args:
        moments: before the step.
        step: from 1.
        weight_decay: decoupled.
    """
    (beta1, beta2), (m, v) = decays, moments
    m = m + (gradient - m) * (1 - beta1)
    v = v * beta2 + gradient**2 * (1 - beta2)
    root = np.sqrt(v) / np.sqrt(1 - beta2**step) + epsilon
    return weight * (1 - rate * weight_decay) - rate / (1 - beta1**step) * m / root, m, v
