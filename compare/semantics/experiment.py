"""The experiment: one layer with non-trivial statistics, three training steps, one evaluation. Imports no framework."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from compare.gap.observed import Arrays, Step, normalised_with, rule

Batch = tuple[np.ndarray, np.ndarray]
# a mean far from the batches' own and, in the second channel, a variance as small as epsilon is large
STATE = {
    "gamma": np.array([1.5, 0.5, -0.75]),
    "beta": np.array([0.25, -0.5, 1.0]),
    "moving_mean": np.array([-0.5, 0.25, 2.0]),
    "moving_variance": np.array([0.5, 0.0625, 3.0]),
}
MEAN, DEVIATION = np.array([0.5, -1.0, 1.0]), np.array([1.0, 0.125, 2.0])
RAISES: dict[str, Any] = {
    "fit": "raises",
    "updates": "no",
    "rule": None,
    "gamma_beta_gradient": False,
    "gamma_beta_change": False,
}
LOST: dict[str, Any] = {"evaluate": "raises", "evaluate_updates": False}
STEPS = 3  # what it takes to tell a zero-debiased average from a cumulative one


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


def measure(subject: Subject, shape: tuple[int, ...]) -> tuple[dict, str]:
    """Measure a subject's facts, and whether training does the same after each ordeal.

    Args:
        shape: of a batch, ``(N, ..., 3)``.

    Returns:
        The facts of a row, and the error's text where training raised one.
    """
    facts, error = _training(subject, shape)
    try:
        evaluation = _evaluation(subject, shape)
    except TypeError:
        if not error:
            raise
        evaluation = LOST  # a step that fails on JAX leaves a model without its variables
    survives: dict[str, bool | None] = dict.fromkeys(subject.ordeals)
    if not error:
        survives = {o: _training(subject.after(o), shape)[0] == facts for o in subject.ordeals}
    return {**facts, **evaluation, "survives": survives}, error


def refused(ordeals: tuple[str, ...]) -> dict:
    """The facts of a spelling that a framework refuses."""
    return {**RAISES, **LOST, "survives": dict.fromkeys(ordeals)}


def reason(error: Exception) -> str:
    """An error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _training(subject: Subject, shape: tuple[int, ...]) -> tuple[dict[str, Any], str]:
    """The facts of three training steps from the experiment's state."""
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
    return {
        "fit": used.pop() if len(used) == 1 else "neither",
        "updates": "yes" if moving else "no",
        "rule": moving,
        "gamma_beta_gradient": subject.gradient(),
        "gamma_beta_change": any(step.moved("gamma", "beta") for step in steps),
    }, ""


def _evaluation(subject: Subject, shape: tuple[int, ...]) -> dict[str, Any]:
    (x, y), before = batch(shape, STEPS), subject.arrays()
    loss = subject.evaluate(x, y)
    step = Step(x, y, loss, before, subject.arrays())
    return {
        "evaluate": normalised_with(step, subject.epsilon, subject.tolerance),
        "evaluate_updates": step.moved("moving_mean", "moving_variance"),
    }
