"""Figures of another objective: class weights, equal shares of the classes, label smoothing, no penalty, no weights.

Who says a figure doesn't say what it is a mean of. Each customary objective is computed from the outputs of one
pass, and the one that gives the figure is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from compare.diagnosis.case import Case, figure, share
from compare.diagnosis.finding import find
from compare.diagnosis.side import Pass, Step

# of the difference: how near an objective must come to a figure of weights that moved a little, and of evaluation's
NEAR, EXACT = 0.1, 0.01
# the commonest class beside the rarest: below it equal shares are nearly the shares that are there
UNEQUAL = 1.5
# label smoothing that people use; weights that they give one of so many classes
SMOOTHINGS = (0.1, 0.05, 0.2)
WEIGHTS, FEW = range(2, 21), 3
# factors on the logits: a network is trained until none of both makes its own objective less
TEMPERED = (0.9, 1.1)
# between two accuracies that are told apart
APART = 0.02
# what a loss may take the outputs for, and how near training's figure must come to be of another one: it does harm
RESOLVED = {
    "logits": "that of outputs taken for logits",
    "probabilities": "that of outputs taken for probabilities",
    "twice": "that of probabilities taken for logits, with a softmax or sigmoid too many",
}
SURELY = 0.03


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


@dataclass
class _Sums:
    """What a pass adds up to, by class.

    Attributes:
        count: values.
        counts, losses, right: by class: values, sum of their losses, how many are classified right.
        uniform: sum of the losses against targets spread evenly over the classes.
        tempered: sums of the losses, and of those, with the logits times each of `TEMPERED`, ``(2, 2)``.
        plain: whether the model's own objective is the plain cross-entropy.
        resolved: what the outputs may be taken for, of `RESOLVED` -> sum of the losses.
    """

    count: int = 0
    counts: Any = 0.0
    losses: Any = 0.0
    right: Any = 0.0
    uniform: float = 0.0
    tempered: Any = 0.0
    plain: bool = True
    resolved: dict[str, float] = field(default_factory=dict)

    def is_trained(self, share: float) -> bool:
        """Whether targets smoothed by so much are what the outputs suit best: a network without would be too sure."""
        now = (1 - share) * float(np.sum(self.losses)) + share * self.uniform
        return bool(now <= np.min(self.tempered @ np.array([1 - share, share])))

    def accuracies(self) -> tuple[float, float]:
        """The share of right values, of all and as the mean over the classes."""
        there = self.counts > 0
        return float(np.sum(self.right) / self.count), float(np.mean(self.right[there] / self.counts[there]))


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
    sums = _summed(case, passed, evaluation)
    if sums is None or not sums.count:
        return
    plain = float(np.sum(sums.losses) / sums.count)
    if not sums.plain:
        yield Objective(plain + penalty, "the plain cross-entropy, without weights or smoothing", EXACT)
        return
    for way, total in sums.resolved.items():
        if abs(total / sums.count - plain) > EXACT * plain:
            value = measured + total / sums.count - plain
            yield Objective(value, RESOLVED[way], EXACT if evaluation else SURELY, "metric")
    figures = case.reported.evaluate if evaluation else case.reported.fit
    accuracy = next((value for name, value in figures.items() if "acc" in name.lower()), None)
    cause = _by_accuracy(sums, accuracy)
    near *= 2 if accuracy is not None and not evaluation else 1
    if cause is not None:
        for other in _weighted(sums, near, accuracy is not None):
            yield replace(other, value=measured + other.value - plain, cause=cause)
    if cause == "objective":
        for share in filter(sums.is_trained, SMOOTHINGS):
            smooth = share * (sums.uniform / sums.count - plain)
            yield Objective(measured + smooth, f"that of targets smoothed by {share}", near)


def _weighted(sums: _Sums, near: float, agree: bool) -> Iterator[Objective]:
    """Weights of classes that people use; whole ones only where the accuracies agree."""
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
    if agree and len(counts) <= FEW:
        for place, label in enumerate(np.flatnonzero(there)):
            for weight in WEIGHTS:
                value = float((losses.sum() + (weight - 1) * losses[place]) / sums.count)
                yield Objective(value, f"that of a weight of {weight} on class {label}", EXACT)


def _by_accuracy(sums: _Sums, said: float | None) -> str | None:
    """What a reported accuracy says: weights and smoothing leave it as it is, other samples change it, too."""
    plain, equal = sums.accuracies()
    if said is None or abs(share(said) - plain) <= APART:
        return "objective"
    return "samples" if abs(share(said) - equal) <= APART else None


def _summed(case: Case, passed: Pass, evaluation: bool) -> _Sums | None:
    """Add up by class what the pass's batches gave; None where the loss isn't one of classes."""
    sums = _Sums()
    for step in _kept(case, passed, evaluation):
        rows = _by_class(step.outputs, step.targets)
        if rows is None:
            return None
        labels, forms = rows
        own = step.loss - step.penalty if step.unweighted is None else step.unweighted - step.penalty
        for way, logs in forms.items():
            sums.resolved[way] = sums.resolved.get(way, 0.0) + len(labels) * _mean(logs, labels)
        usual = [way for way in forms if way != "twice"]
        logs = forms[min(usual, key=lambda way: abs(_mean(forms[way], labels) - own))]
        losses = -np.take_along_axis(logs, labels[:, None], 1)[:, 0]
        sums.plain &= abs(float(losses.mean()) - own) <= 1e-3 * max(abs(own), 1e-6)
        classes = logs.shape[1]
        sums.count += len(labels)
        sums.counts = sums.counts + np.bincount(labels, minlength=classes)
        sums.losses = sums.losses + np.bincount(labels, losses, classes)
        sums.right = sums.right + np.bincount(labels, logs.argmax(1) == labels, classes)
        sums.uniform -= float(logs.mean(1).sum())
        others = [_normalised(factor * logs) for factor in TEMPERED]
        sums.tempered = sums.tempered - np.array(
            [[np.take_along_axis(other, labels[:, None], 1).sum(), other.mean(1).sum()] for other in others]
        )
    return sums


def _mean(logs: np.ndarray, labels: np.ndarray) -> float:
    return -float(np.take_along_axis(logs, labels[:, None], 1).mean())


def _kept(case: Case, passed: Pass, evaluation: bool) -> Iterator[Step]:
    """The pass's steps with their outputs: those that it kept, or of another pass, of which one at a time is held."""
    if all(step.outputs is not None for step in passed.steps):
        yield from passed.steps
        return
    data = (case.elsewhere or case.fit) if evaluation else case.fit
    on = frozenset() if evaluation else case.measured.switches
    for batch in data:
        yield case.subject.run([batch], on, keep=True).steps[0]


def _by_class(outputs: Any, targets: Any) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """Labels ``(M,)``, and logarithms of probabilities ``(M, K)`` by what the outputs may be; None without classes."""
    if not (isinstance(outputs, np.ndarray) and isinstance(targets, np.ndarray)) or outputs.dtype.kind != "f":
        return None
    outputs = outputs.astype(np.float64)
    if outputs.size == targets.size and np.isin(targets, (0, 1)).all():
        if outputs.ndim > 1 and outputs.shape[-1] > 1 and (targets.sum(-1) == 1).all():
            return targets.argmax(-1).ravel(), _forms(outputs.reshape(-1, outputs.shape[-1]))
        flat = outputs.reshape(-1, 1)
        return targets.ravel().astype(int), _halves(flat)
    if targets.ndim == outputs.ndim and targets.shape[-1] == 1:
        targets = targets[..., 0]
    if (
        targets.dtype.kind not in "iuf"
        or targets.ndim != outputs.ndim - 1
        or (targets != targets.astype(int)).any()
    ):
        return None
    if outputs.shape[:1] + outputs.shape[2:] == targets.shape and outputs.ndim > 2:
        outputs = np.moveaxis(outputs, 1, -1)
    if (
        outputs.shape[:-1] != targets.shape
        or targets.min(initial=0) < 0
        or targets.max(initial=0) >= outputs.shape[-1]
    ):
        return None
    return targets.ravel().astype(int), _forms(outputs.reshape(-1, outputs.shape[-1]))


def _normalised(outputs: np.ndarray) -> np.ndarray:
    shifted = outputs - outputs.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def _forms(outputs: np.ndarray) -> dict[str, np.ndarray]:
    forms = {"logits": _normalised(outputs)}
    if outputs.min(initial=0) >= 0 and outputs.max(initial=0) <= 1 + 1e-6:
        return forms | {"probabilities": np.log(np.clip(outputs, 1e-7, 1))}
    return forms | {"twice": _normalised(np.exp(forms["logits"]))}


def _halves(outputs: np.ndarray) -> dict[str, np.ndarray]:
    forms = {"logits": -np.logaddexp(0, np.concatenate([outputs, -outputs], 1))}
    if outputs.min(initial=0) >= 0 and outputs.max(initial=0) <= 1:
        both = np.concatenate([1 - outputs, outputs], 1)
        return forms | {"probabilities": np.log(np.clip(both, 1e-7, 1))}
    return forms | {"twice": _normalised(np.exp(forms["logits"]) * [0, 1])}
