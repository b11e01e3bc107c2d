"""Figures of another objective: class weights, equal shares of the classes, label smoothing, no penalty, no weights.

Who says a figure doesn't say what it is a mean of. Each customary objective is computed from the outputs of one
pass, and the one that gives the figure is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from compare.diagnosis.by_class import Sums, summed
from compare.diagnosis.case import Case, figure, share
from compare.diagnosis.finding import find

# of the difference: how near an objective must come to a figure of weights that moved a little, and of evaluation's
NEAR, EXACT = 0.1, 0.01
# the commonest class beside the rarest: below it equal shares are nearly the shares that are there
UNEQUAL = 1.5
# label smoothing that people use; weights that they give one of so many classes
SMOOTHINGS = (0.1, 0.05, 0.2)
WEIGHTS, FEW = range(2, 21), 3
# between two accuracies that are told apart
APART = 0.02
# what a loss may take the outputs for
RESOLVED = {
    "logits": "that of outputs taken for logits",
    "probabilities": "that of outputs taken for probabilities",
    "twice": "that of probabilities taken for logits, with a softmax or sigmoid too many",
}


@dataclass(frozen=True)
class Objective:
    """Another objective.

    Attributes:
        value: what it comes to.
        words: what it is, as the end of a sentence.
        near: how near a figure must come, of its difference from the model's own objective.
        cause: ``objective``; ``samples`` where other samples give it, ``metric`` where outputs are taken for others.
    """

    value: float
    words: str
    near: float
    cause: str = "objective"


def other_objective(case: Case, said: float, evaluation: bool) -> tuple[str, str] | None:
    """Name the objective that a figure is of, where it isn't the model's own.

    Args:
        case: what was measured.
        said: a reported loss, of training or of evaluation.
        evaluation: which of both.

    Returns:
        The cause and its evidence; None where no customary objective gives that figure.
    """
    measured = case.evaluated_elsewhere if evaluation else case.as_in_fit
    whose = "Evaluation's" if evaluation else "Training's"
    for other in _objectives(case, measured, evaluation):
        if abs(other.value - said) <= other.near * abs(said - measured):
            how = "is" if abs(other.value - said) <= EXACT * abs(said) else "is nearly"
            evidence = (
                f"{whose} reported loss, {figure(said)}, {how} {other.words}: that gives {figure(other.value)} on the"
                f" outputs whose loss is {figure(measured)} by the model's own objective."
            )
            return other.cause, evidence
    return None


def find_other(case: Case, value: float, cause: str, evidence: str) -> None:
    """Find what `other_objective` has named: outputs that are taken for others do harm, another objective none."""
    metric = cause == "metric"
    find(case, cause, metric, value, (), evidence, "loss" if metric else "")


def _objectives(case: Case, measured: float, evaluation: bool) -> Iterator[Objective]:
    passed = (case.measured.elsewhere or case.measured.evaluate) if evaluation else case.measured.fit
    if passed is None:
        return
    steps, near = passed.steps, EXACT if evaluation else NEAR
    penalty = float(np.average([step.penalty for step in steps], weights=[step.weight for step in steps]))
    if penalty:
        yield Objective(measured - penalty, "that without the penalty on the weights", EXACT)
    if any(step.unweighted is not None for step in steps):
        values = [step.loss if step.unweighted is None else step.unweighted for step in steps]
        free = float(np.average(values, weights=[step.size for step in steps]))
        yield Objective(free, "that without weights of the samples", near)
    sums = summed(case, passed, evaluation)
    if sums is None or not sums.count:
        return
    plain = float(np.sum(sums.losses) / sums.count)
    if not sums.plain:
        yield Objective(plain + penalty, "the plain cross-entropy, without weights or smoothing", EXACT)
        return
    for way, total in sums.resolved.items():
        if abs(total / sums.count - plain) > EXACT * plain:
            value = measured + total / sums.count - plain
            yield Objective(value, RESOLVED[way], EXACT, "metric")  # it does harm
    figures = case.reported.evaluate if evaluation else case.reported.fit
    accuracy = next((value for name, value in figures.items() if "acc" in name.lower()), None)
    cause = _by_accuracy(sums, accuracy)
    near *= 2 if accuracy is not None and not evaluation else 1
    if cause is not None:
        for other in _by_share(sums, near):
            yield replace(other, value=measured + other.value - plain, cause=cause)
    if cause == "objective":
        for smoothing in filter(sums.is_trained, SMOOTHINGS):
            value = measured + smoothing * (sums.uniform / sums.count - plain)
            yield Objective(value, f"that of targets smoothed by {smoothing}", near)
    # of so many whole weights one comes near many a figure: they are tried last, and where the accuracies agree
    if cause is not None and accuracy is not None:
        for other in _by_weight(sums):
            yield replace(other, value=measured + other.value - plain, cause=cause)


def _by_share(sums: Sums, near: float) -> Iterator[Objective]:
    """Weights of classes by how many samples they have."""
    there = sums.counts > 0
    counts, losses = sums.counts[there], sums.losses[there]
    if len(counts) < 2:
        return
    if counts.max() >= UNEQUAL * counts.min():
        equal = float(np.mean(losses / counts))
        yield Objective(
            equal, "that of classes that count the same each, by weights or by oversampling", near
        )
        for most, words in ((counts.max(), "commonest"), (counts.min(), "rarest")):
            value = equal * float(most) * len(counts) / sums.count
            yield Objective(value, f"that of classes weighted by how rare they are, the {words} with 1", near)


def _by_weight(sums: Sums) -> Iterator[Objective]:
    """A whole weight on one of a few classes."""
    there = sums.counts > 0
    if not 2 <= there.sum() <= FEW:
        return
    for label in np.flatnonzero(there):
        for weight in WEIGHTS:
            value = float((sums.losses.sum() + (weight - 1) * sums.losses[label]) / sums.count)
            yield Objective(value, f"that of a weight of {weight} on class {label}", EXACT)


def _by_accuracy(sums: Sums, said: float | None) -> str | None:
    """What a reported accuracy says: weights and smoothing leave it as it is, other samples change it, too."""
    plain, equal = sums.accuracies()
    if said is None or abs(share(said) - plain) <= APART:
        return "objective"
    return "samples" if abs(share(said) - equal) <= APART else None
