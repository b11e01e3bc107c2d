"""What a pass adds up to by class: losses and accuracies from its outputs and targets, whatever the outputs are of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compare.diagnosis.case import Case
from compare.diagnosis.side import Pass, Step

# factors on the logits: a network is trained until none of both makes its own objective less
TEMPERED = (0.9, 1.1)


@dataclass
class Sums:
    """What a pass adds up to, by class.

    Attributes:
        count: values.
        counts, losses, right: by class: values, sum of their losses, how many are classified right.
        uniform: sum of the losses against targets spread evenly over the classes.
        tempered: sums of the losses, and of those, with the logits times each of `TEMPERED`, ``(2, 2)``.
        plain: whether the model's own objective is the plain cross-entropy.
        resolved: what the outputs may be taken for -> sum of the losses.
    """

    count: int = 0
    counts: Any = 0.0
    losses: Any = 0.0
    right: Any = 0.0
    uniform: float = 0.0
    tempered: Any = 0.0
    plain: bool = True
    resolved: dict[str, float] = field(default_factory=dict)

    def add(self, labels: np.ndarray, forms: dict[str, np.ndarray], own: float) -> None:
        """Take in a batch.

        Args:
            labels: ``(M,)``.
            forms: what its outputs may be taken for -> logarithms of probabilities ``(M, K)``.
            own: its loss by the model's own objective; the form that comes nearest to it is the outputs' own.
        """
        means = {way: float(_losses(logs, labels).mean()) for way, logs in forms.items()}
        for way, mean in means.items():
            self.resolved[way] = self.resolved.get(way, 0.0) + len(labels) * mean
        nearest = min((way for way in forms if way != "twice"), key=lambda way: abs(means[way] - own))
        logs, classes = forms[nearest], forms[nearest].shape[1]
        self.plain &= abs(means[nearest] - own) <= 1e-3 * max(abs(own), 1e-6)
        self.count += len(labels)
        self.counts = self.counts + np.bincount(labels, minlength=classes)
        self.losses = self.losses + np.bincount(labels, _losses(logs, labels), classes)
        self.right = self.right + np.bincount(labels, logs.argmax(1) == labels, classes)
        self.uniform -= float(logs.mean(1).sum())
        others = [_normalised(factor * logs) for factor in TEMPERED]
        self.tempered = self.tempered + np.array(
            [[_losses(other, labels).sum(), -other.mean(1).sum()] for other in others]
        )

    def is_trained(self, smoothing: float) -> bool:
        """Whether targets smoothed by so much are what the outputs suit best: a network without would be too sure."""
        now = (1 - smoothing) * float(np.sum(self.losses)) + smoothing * self.uniform
        return bool(now <= np.min(self.tempered @ np.array([1 - smoothing, smoothing])))

    def accuracies(self) -> tuple[float, float]:
        """The share of right values, of all and as the mean over the classes."""
        there = self.counts > 0
        return float(np.sum(self.right) / self.count), float(np.mean(self.right[there] / self.counts[there]))


def summed(case: Case, passed: Pass, evaluation: bool) -> Sums | None:
    """Add up by class what a pass's batches gave; None where the loss isn't one of classes.

    Args:
        case: has the model and the data, for outputs that weren't kept.
        passed: the pass.
        evaluation: whether it is one of evaluation's data, and not as in training.
    """
    sums = Sums()
    for step in _kept(case, passed, evaluation):
        rows = labelled(step.outputs, step.targets)
        if rows is None:
            return None
        own = step.loss if step.unweighted is None else step.unweighted
        sums.add(*rows, own - step.penalty)
    return sums


def _losses(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cross-entropy of each value, ``(M,)``."""
    return -np.asarray(np.take_along_axis(logs, labels[:, None], 1)[:, 0])


def _kept(case: Case, passed: Pass, evaluation: bool) -> Iterator[Step]:
    """The pass's steps with their outputs: those that it kept, or of another pass, of which one at a time is held."""
    if all(step.outputs is not None for step in passed.steps):
        yield from passed.steps
        return
    data = (case.elsewhere or case.fit) if evaluation else case.fit
    on = frozenset() if evaluation else case.measured.switches
    for batch in data:
        yield case.subject.run([batch], on, keep=True).steps[0]


def labelled(outputs: Any, targets: Any) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
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
