"""The experiment: one layer with non-trivial statistics, three training steps, one evaluation. Imports no framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from compare.gap.observed import Arrays, Rule, Step, normalised_with, rule
from compare.semantics.row import Measured, Uses

Batch = tuple[np.ndarray, np.ndarray]
# a mean far from the batches' own and, in the second channel, a variance as small as epsilon is large
STATE = {
    "gamma": np.array([1.5, 0.5, -0.75]),
    "beta": np.array([0.25, -0.5, 1.0]),
    "moving_mean": np.array([-0.5, 0.25, 2.0]),
    "moving_variance": np.array([0.5, 0.0625, 3.0]),
}
MEAN, DEVIATION = np.array([0.5, -1.0, 1.0]), np.array([1.0, 0.125, 2.0])
# what it takes to tell a zero-debiased average from a cumulative one
STEPS = 3


class Subject(Protocol):
    """A model around one batch normalisation layer, in any framework.

    Attributes:
        epsilon: what it is set to.
        tolerance: relative, of a loss; by the precision that the model computes in.
        ordeals: what the setting may or may not survive.
    """

    epsilon: float
    tolerance: float
    ordeals: tuple[str, ...]

    def arrays(self) -> Arrays:
        """Return copies of gamma, beta and the moving statistics, those that there are, float64."""

    def set(self, arrays: Arrays) -> None:
        """Set them."""

    def fit(self, batches: list[Batch]) -> list[tuple[float, Arrays]]:
        """Take a training step a batch; return each one's mean squared error as reported, and the arrays after it."""

    def gradient(self) -> bool:
        """Whether gamma and beta got a gradient in the last step."""

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> float:
        """Return a batch's mean squared error in evaluation."""

    def after(self, ordeal: str) -> Subject:
        """Go through an ordeal; return what came out of it."""


def batch(shape: tuple[int, ...], number: int) -> Batch:
    """Make batch ``number``: inputs that float16 and bfloat16 hold exactly, and targets. Float64."""
    rng = np.random.default_rng([5, number])
    x = np.clip(MEAN + DEVIATION * rng.standard_normal(shape), -7, 7)
    return np.round(x * 16) / 16, rng.standard_normal(shape)


@dataclass(frozen=True)
class Training:
    """What three training steps show of a layer, with the fields of `compare.semantics.row.Measured`."""

    fit: Uses
    updates: bool = False
    rule: Rule | None = None
    gamma_beta_gradient: bool = False
    gamma_beta_change: bool = False


RAISES = Training("raises")


def measure(subject: Subject, shape: tuple[int, ...]) -> tuple[Measured, str]:
    """Measure what a subject does, and whether training does the same after each ordeal.

    Args:
        shape: of a batch, ``(N, ..., 3)``.

    Returns:
        What it does, and the error's text where training raised one.
    """
    trained, error = _training(subject, shape)
    evaluate: Uses = "raises"
    moves = False
    try:
        evaluate, moves = _evaluation(subject, shape)
    except TypeError:
        if not error:
            raise  # otherwise a step that fails on JAX leaves a model without its variables
    survives: dict[str, bool | None] = dict.fromkeys(subject.ordeals)
    if not error:
        survives = {o: _training(subject.after(o), shape)[0] == trained for o in subject.ordeals}
    return _row(trained, evaluate, survives, moves), error


def _row(trained: Training, evaluate: Uses, survives: dict[str, bool | None], moves: bool) -> Measured:
    return Measured(
        trained.fit,
        trained.updates,
        trained.rule,
        trained.gamma_beta_gradient,
        trained.gamma_beta_change,
        evaluate,
        survives,
        moves,
    )


def refused(ordeals: tuple[str, ...]) -> Measured:
    """What there is to say of a spelling that a framework refuses."""
    return _row(RAISES, "raises", dict.fromkeys(ordeals), False)


def reason(error: Exception) -> str:
    """An error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _training(subject: Subject, shape: tuple[int, ...]) -> tuple[Training, str]:
    """Take three training steps from the experiment's state."""
    subject.set(STATE)
    batches, before, steps = [batch(shape, number) for number in range(STEPS)], subject.arrays(), []
    try:
        results = subject.fit(batches)
    except (ValueError, RuntimeError) as error:
        return RAISES, reason(error)
    for (x, y), (loss, after) in zip(batches, results, strict=True):
        steps.append(Step(x, y, loss, before, after))
        before = after
    used = {normalised_with(step, subject.epsilon, subject.tolerance) for step in steps}
    moving = rule(steps, subject.epsilon)
    changes = any(step.moved("gamma", "beta") for step in steps)
    fit: Uses = used.pop() if len(used) == 1 else "neither"
    return Training(fit, moving is not None, moving, subject.gradient(), changes), ""


def _evaluation(subject: Subject, shape: tuple[int, ...]) -> tuple[Uses, bool]:
    """What evaluation normalises with, and whether it moves the moving statistics."""
    (x, y), before = batch(shape, STEPS), subject.arrays()
    loss = subject.evaluate(x, y)
    step = Step(x, y, loss, before, subject.arrays())
    used = normalised_with(step, subject.epsilon, subject.tolerance)
    return used, step.moved("moving_mean", "moving_variance")
