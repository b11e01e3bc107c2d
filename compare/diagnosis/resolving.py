"""Metrics beside what the outputs come to: resolved otherwise, or averaged over more than evaluation."""

from __future__ import annotations

import numpy as np

from compare.diagnosis.case import Case, figure, rounding, share
from compare.diagnosis.finding import find
from compare.diagnosis.side import Batch, Pass

# relative: a figure recomputed from the same numbers
EXACT = 1e-3
# of the distance of a reported figure: what batches of another size must change of one that is a mean over batches
MOVED = 0.25
# what people call the share of right classes, but for digits and marks
ACCURACIES = {"acc", "accuracy", "top", "accuracytop", "topacc", "topaccuracy", "acctop"}
# samples a batch that people evaluate with
SIZES = (8, 16, 32, 64, 128, 256)


def judge(case: Case) -> None:
    """Find a metric that resolves otherwise in evaluation, or that is averaged over more than evaluation."""
    measured = (case.measured.elsewhere or case.measured.evaluate).figures
    _resolved(case)
    for called, said in case.reported.evaluate.items():
        name = called if called in measured else _usual(called)
        if name == "loss" or name not in measured or _agree(said, measured[name]):
            continue
        if case.has("metric") or "loss" not in case.reported.evaluate:
            continue
        if not _as_measured(case.said_in_evaluation, case.evaluated_elsewhere):
            continue
        shared = _shared(case, called, said, measured[name]) or _batched(case, name, said, measured[name])
        if shared is not None:
            find(case, "aggregation", False, 0.0, (), shared)
            continue
        evidence = (
            f"The losses agree ({figure(case.said_in_evaluation)} reported, {figure(case.evaluated_elsewhere)}"
            f" measured), so that mode, weights and data are the same; {called} doesn't: {figure(said)} reported,"
            f" {figure(measured[name])} recomputed from the outputs.{_resolution(case, said)}"
        )
        find(case, "metric", True, 0.0, (), evidence)


def _usual(name: str) -> str:
    """The name that an accuracy has here, whatever people call it: acc, top1, acc@1, train_acc."""
    letters = "".join(letter for letter in name.lower() if letter.isalpha())
    digits = "".join(letter for letter in name if letter.isdigit())
    return "accuracy" if letters in ACCURACIES and digits in ("", "1") else name


def _agree(said: float, measured: float) -> bool:
    """Whether two figures are the same, though one may be written in percent and the other as a share."""
    return any(abs(factor * said - measured) < 0.02 * max(1e-9, abs(measured)) for factor in (1, 100, 0.01))


def _as_measured(said: float, measured: float) -> bool:
    """Whether a loss that was reported is the one that is measured, but for rounding: the person's, too."""
    return abs(said - measured) <= max(EXACT * abs(measured), rounding(said))


def _shared(case: Case, name: str, said: float, evaluated: float) -> str | None:
    """Whether a figure is that of training's and evaluation's samples together: one object for both phases."""
    fit = case.reported.fit.get(name)
    ours, theirs = case.fit.look.size, (case.elsewhere or case.fit).look.size
    if fit is None or case.elsewhere is None:
        return None
    together = (share(fit) * ours + share(evaluated) * theirs) / (ours + theirs)
    if abs(together - share(said)) > 2 * EXACT * max(share(said), 1e-9):
        return None
    return (
        f"{name} reported for evaluation, {figure(said)}, is that of training's {ours} and evaluation's {theirs}"
        " samples together: one metric object counts both phases."
    )


def _batched(case: Case, name: str, said: float, evaluated: float) -> str | None:
    """Whether a figure is a mean over batches and not over samples: in batches of another size it is another one."""
    some = (case.elsewhere or case.fit).some(case.limit)
    count = sum(batch.size for batch in some)
    sizes = [size for size in (*SIZES, count) if size <= count and size != some[0].size]

    def ask(batches: list[Batch]) -> float:
        with case.subject.kept():
            return case.subject.evaluate(batches, seed=0).figures[name]

    def dealt(size: int) -> list[Batch]:
        parts = np.split(np.arange(count), range(size, count, size))
        return [case.subject.join(some, part) for part in parts]

    try:
        before, others = ask(some), {size: ask(dealt(size)) for size in sizes}
    except Exception:  # whatever the model says to batches of another size
        return None
    size = min(others, key=lambda size: abs(others[size] - said), default=0)
    if not size or max(abs(now - before) for now in others.values()) < MOVED * abs(said - evaluated):
        return None
    return (
        f"{name} is a mean over batches and not over samples: it is {figure(before)} in batches of"
        f" {max(batch.size for batch in some)} and {figure(others[size])} in batches of {size}; {figure(said)} was"
        " reported."
    )


def _resolved(case: Case) -> None:
    """A metric called accuracy that isn't the share of right classes."""
    one = case.measured.sample or case.measured.evaluate
    plain = _accuracies(one)
    for name in one.figures:
        # accuracies of another kind: a right class among several, or classes that count alike
        other = any(word in name.lower() for word in ("auc", "top", "acc5", "acc@5", "balanced", "weighted"))
        if "acc" not in name.lower() or not plain or other:
            continue
        right = plain[next(iter(plain))]
        if abs(share(one.figures[name]) - right) > 0.02:
            way = next(
                (w for w, value in plain.items() if abs(value - share(one.figures[name])) < 0.005), None
            )
            if way is None and (_usual(name) != "accuracy" or _of_many(one)):
                continue  # one of the person's own, or one that leaves out what a mask does
            told = f" It is what one gets with {way}." if way else ""
            evidence = (
                f"{name} is {figure(one.figures[name])}; the share of right classes, by {next(iter(plain))}, is"
                f" {figure(right)}.{told}"
            )
            find(case, "metric", True, 0.0, (), evidence)


def _of_many(one: Pass) -> bool:
    """Whether a sample has a class at each of many places, such as the words of a text or the points of an image."""
    return any(isinstance(step.outputs, np.ndarray) and step.outputs.ndim > 2 for step in one.steps)


def _resolution(case: Case, said: float) -> str:
    ways = _accuracies(case.measured.elsewhere or case.measured.evaluate)
    way = next((way for way, value in ways.items() if abs(value - share(said)) < 0.005), None)
    return f" It is what one gets with {way}." if way else ""


def _accuracies(one: Pass) -> dict[str, float]:
    """Ways in which people resolve an accuracy -> its value; the first is the right one. Empty where unknown."""
    parts = [(s.outputs, s.targets) for s in one.steps if isinstance(s.outputs, np.ndarray)]
    parts = [(o, t) for o, t in parts if isinstance(t, np.ndarray)]
    if not parts:
        return {}
    outputs, targets = (np.concatenate(values) for values in zip(*parts, strict=True))
    if targets.ndim == outputs.ndim and targets.ndim > 1 and targets.shape[-1] == 1 and outputs.shape[-1] > 1:
        targets = targets[..., 0]
    if (
        targets.dtype.kind in "iu"
        and outputs.ndim == targets.ndim + 1
        and outputs.shape[0] == targets.shape[0]
    ):
        return _of_classes(outputs, targets)
    if outputs.size == targets.size and outputs.size and np.isin(targets, (0, 1)).all():
        return _of_halves(outputs, targets)
    return {}


def _of_classes(outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    axis = 1 if outputs.shape[2:] == targets.shape[1:] else -1
    best = outputs.argmax(axis)
    if best.shape != targets.shape:
        return {}
    ways = {"argmax": float((best == targets).mean())}
    if targets.ndim == 1:
        ways["labels taken for one-hot rows"] = float((best == 0).mean())
    return ways


def _of_halves(outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    outputs, targets = outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1)
    if outputs.shape[1] > 1 and (targets.sum(1) == 1).all():
        right = float((outputs.argmax(1) == targets.argmax(1)).mean())
        half = float(((outputs > 0.5) == (targets > 0.5)).mean())
        return {"argmax": right, "a threshold of 0.5 on each": half}
    logits = outputs.min() < 0 or outputs.max() > 1
    ways = {
        "a threshold of 0": float(((outputs > 0) == (targets > 0.5)).mean()),
        "a threshold of 0.5": float(((outputs > 0.5) == (targets > 0.5)).mean()),
    }
    ways = ways if logits else dict(reversed(ways.items()))
    if outputs.shape[1] > 1:  # several may be right at once
        ways["the largest of each sample's taken for its one class"] = float(
            (outputs.argmax(1) == targets.argmax(1)).mean()
        )
    return ways
