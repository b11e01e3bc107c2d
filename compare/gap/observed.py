"""What a batch normalisation layer did, read off its numbers before and after each step. Imports no framework.

A layer's own word is never taken: its loss tells what it normalised with, and its moving statistics tell by
which rule they moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Arrays = dict[str, np.ndarray]
Variance = Literal["biased", "unbiased", "doubly corrected", "of deviations"]
# relative; a batch of 24 puts the variance rules 4e-2 apart, and rounding is below 1e-4
SAME = 1e-3


@dataclass(frozen=True)
class Step:
    """One training step, or one evaluation.

    Attributes:
        x: what went into the layer, ``(N, ..., C)`` float64.
        y: what the mean squared error was taken against, as ``x``.
        loss: the mean squared error that the framework reported.
        before, after: ``gamma``, ``beta``, ``moving_mean``, ``moving_variance``, each ``(C,)`` float64; without
            the last two where the layer has none.
    """

    x: np.ndarray
    y: np.ndarray
    loss: float
    before: Arrays
    after: Arrays

    @property
    def batch(self) -> Arrays:
        """The batch's own mean and biased variance."""
        axes = tuple(range(self.x.ndim - 1))
        return {"moving_mean": self.x.mean(axes), "moving_variance": self.x.var(axes)}

    @property
    def count(self) -> int:
        """How many values a channel's statistics are over."""
        return self.x.size // self.x.shape[-1]

    def moved(self, *names: str) -> bool:
        """Whether one of the arrays isn't what it was."""
        return any(name in self.before and (self.before[name] != self.after[name]).any() for name in names)


def normalised_with(step: Step, epsilon: float, tolerance: float) -> Literal["batch", "moving", "neither"]:
    """Tell what the layer normalised with from the loss that came out.

    Returns:
        ``batch``, ``moving`` or ``neither``.
    """
    statistics: dict[Literal["batch", "moving"], Arrays] = {"batch": step.batch}
    if "moving_mean" in step.before:
        statistics["moving"] = step.before
    for name, of in statistics.items():
        scale = step.before["gamma"] / np.sqrt(of["moving_variance"] + epsilon)
        outputs = (step.x - of["moving_mean"]) * scale + step.before["beta"]
        expected = float(np.mean((outputs - step.y) ** 2))
        if abs(step.loss - expected) <= tolerance * expected:
            return name
    return "neither"


@dataclass(frozen=True)
class Rule:
    """By which rule moving statistics move.

    Attributes:
        decay: share of the old value that a step keeps; ``cumulative`` where every step so far weighs the same;
            None where no such rule fits.
        variance: the one that enters: ``biased``, ``unbiased``, ``doubly corrected`` (times n/(n-1), squared),
            ``of deviations`` (the standard deviation is averaged); None where no such rule fits.
        zero_debiased: whether the start is divided out, so that the first step throws the old value away.
    """

    decay: float | Literal["cumulative"] | None
    variance: Variance | None
    zero_debiased: bool


def rule(steps: list[Step], epsilon: float) -> Rule | None:
    """Tell by which rule the moving statistics moved; None where nothing moved.

    Args:
        steps: consecutive ones, at least three, on different batches.
        epsilon: the layer's.
    """
    if not any(step.moved("moving_mean", "moving_variance") for step in steps):
        return None
    kept = [_kept(step) for step in steps]
    decay, zero_debiased = _decay(kept)
    each = [_variances(step, share, epsilon) for step, share in zip(steps, kept, strict=True)]
    variance = next((name for name in each[0] if all(name in names for names in each)), None)
    return Rule(decay, variance, zero_debiased)


def _kept(step: Step) -> float:
    """The share of the old moving mean in the new one, by least squares over the channels."""
    batch = step.batch["moving_mean"]
    old, new = step.before["moving_mean"] - batch, step.after["moving_mean"] - batch
    return float(old @ new / (old @ old))


def _decay(kept: list[float]) -> tuple[float | Literal["cumulative"] | None, bool]:
    """The decay behind the shares that consecutive steps kept, and whether it was zero-debiased.

    A step that keeps s weighs 1 / (1 - s) batches: 1 / (1 - d) in every step of a moving average, one more
    each step of a cumulative one, and 1, 1 + d, 1 + d + d^2 where the start at zero is divided out.
    """
    if max(kept) - min(kept) <= SAME:
        return abs(round(float(np.mean(kept)), 3)), False
    if max(kept) >= 1:
        return None, False
    weighed = [1 / (1 - share) for share in kept]
    more = np.diff(weighed)
    if np.allclose(more, 1, rtol=0, atol=SAME / 10):
        return "cumulative", False
    if np.allclose([weighed[0], more[1]], [1, more[0] ** 2], rtol=0, atol=SAME / 10):
        return round(float(more[0]), 3), True
    return None, False


def _variances(step: Step, kept: float, epsilon: float) -> list[Variance]:
    """Which variances of the batch may have gone into the moving one; where nothing is kept, several."""
    if kept == 1:
        return []
    batch, n = step.batch["moving_variance"], step.count
    old, new = step.before["moving_variance"], step.after["moving_variance"]
    taken = (new - kept * old) / (1 - kept)
    if not batch.any():
        return ["biased"] if np.allclose(taken, 0, atol=SAME) else []
    factor = float(taken @ batch / (batch @ batch))
    corrected = n / (n - 1)
    factors: dict[Variance, float] = {"biased": 1.0, "unbiased": corrected, "doubly corrected": corrected**2}
    names = [name for name, expected in factors.items() if abs(factor - expected) <= SAME * expected]
    deviations = kept * np.sqrt(old + epsilon) + (1 - kept) * np.sqrt(batch + epsilon)
    if np.allclose(new, deviations**2 - epsilon, rtol=SAME * (1 - kept)):
        names.append("of deviations")
    return names
