"""Are the inputs what the network was trained on? Known preprocessings are tried, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from compare.diagnosis.case import Case, figure
from compare.diagnosis.side import Batch

CAFFE = np.array([103.939, 116.779, 123.68])
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
# of the step that a change of the inputs must close, and of the first layer's distance
CLOSED = 0.6
TRIED = 64


@dataclass(frozen=True)
class Change:
    """A change of inputs.

    Attributes:
        name: what is wrong with the inputs if it helps.
        code: what the change is.
        apply: arrays with channels last -> the same, changed.
        colours: whether it needs three channels.
    """

    name: str
    code: str
    apply: Callable[[np.ndarray], np.ndarray]
    colours: bool = False


CHANGES = (
    Change("the inputs are 255 times too small, as if scaled twice", "x * 255", lambda x: x * 255),
    Change("the inputs are 255 times too large: not scaled to 0..1", "x / 255", lambda x: x / 255),
    Change("the inputs aren't scaled from 0..255 to -1..1", "x / 127.5 - 1", lambda x: x / 127.5 - 1),
    Change("the inputs are scaled to -1..1 and shouldn't be", "(x + 1) * 127.5", lambda x: (x + 1) * 127.5),
    Change("the inputs aren't scaled from 0..1 to -1..1", "x * 2 - 1", lambda x: x * 2 - 1),
    Change("the inputs are -1..1 and should be 0..1", "(x + 1) / 2", lambda x: (x + 1) / 2),
    Change("the channels are in the other order, RGB for BGR", "x[..., ::-1]", lambda x: x[..., ::-1], True),
    Change("the inputs lack the Caffe preprocessing", "x[..., ::-1] - caffe_mean",
           lambda x: x[..., ::-1] - CAFFE, True),
    Change("the inputs lack ImageNet's mean and deviation", "(x - mean) / std", lambda x: (x - MEAN) / DEVIATION, True),
    Change("ImageNet's mean and deviation are taken off twice", "x * std + mean", lambda x: x * DEVIATION + MEAN, True),
    Change("the inputs lack the scaling to 0..1 and ImageNet's mean", "(x / 255 - mean) / std",
           lambda x: (x / 255 - MEAN) / DEVIATION, True),
)  # fmt: skip


def changed_inputs(case: Case) -> bool:
    """Say whether one of the known changes makes evaluation as good as training, and find ``input-scale``."""
    batches = _few(case)
    base = _loss(case, batches)
    aim = case.said_in_fit if "loss" in case.reported.fit else case.as_in_fit
    before = _distance(case, batches)
    best = None
    for change in _possible(case):
        changed = [case.subject.scaled(batch, change.apply) for batch in batches]
        now, distance = _loss(case, changed), _distance(case, changed)
        closer = before is None or (distance is not None and distance < min((1 - CLOSED) * before, 1.5))
        if base - now > CLOSED * (base - aim) and closer and (best is None or now < best[1]):
            best = (change, now)
    if best is None:
        return False
    from compare.diagnosis.finding import find

    change, now = best
    evidence = (
        f"{change.name[0].upper()}{change.name[1:]}: with {change.code} an evaluation of {sum(b.size for b in batches)}"
        f" samples has a loss of {figure(now)} instead of {figure(base)}."
    )
    find(case, "input-scale", True, case.evaluated - case.as_in_fit, (), evidence, change.code)
    return True


def _possible(case: Case) -> list[Change]:
    channels = len(case.fit.look.mean)
    return [change for change in CHANGES if channels == 3 or not change.colours]


def _few(case: Case) -> list[Batch]:
    found: list[Batch] = []
    for batch in case.fit.some(case.limit):
        if sum(b.size for b in found) < TRIED:
            found.append(batch)
    return found


def _loss(case: Case, batches: list[Batch]) -> float:
    return case.subject.run(batches, frozenset()).figures["loss"]


def _distance(case: Case, batches: list[Batch]) -> float | None:
    """How far what reaches the first normalisation lies from what it has stored: means and log variances."""
    rows = [row for row in case.normalisations() if row.evaluate == "moving"]
    if not rows or "normalisation" not in case.measured.switches:
        return None
    seen = case.subject.run(batches, frozenset({"normalisation"}), collect=True).seen
    first = next((row for row in rows if row.name in seen), None)
    if first is None or first.mean is None or first.variance is None:
        return None
    now = seen[first.name]
    stored = np.maximum(first.variance, 1e-12)
    if not np.isfinite(stored).all():
        return None
    means = np.sqrt(np.mean((now.mean - first.mean) ** 2 / stored))
    return float(means + np.sqrt(np.mean(np.log(np.maximum(now.variance, 1e-12) / stored) ** 2)))
