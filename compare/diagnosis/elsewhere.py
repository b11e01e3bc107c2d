"""Evaluation's own data beside fit's: the same samples, others, or the same in another preprocessing?"""

from __future__ import annotations

import numpy as np

from compare.diagnosis import noise, same_samples
from compare.diagnosis.case import Case, figure
from compare.diagnosis.finding import find
from compare.diagnosis.inputs import CHANGES
from compare.diagnosis.looking import Look
from compare.diagnosis.numbering import renumbered

# moments that are one preprocessing's of another, relative; by channel, how far inputs of one kind may lie apart
SAME, LIKE = 0.03, 0.25
# the same, where augmentation moves both besides
ROUGH = 0.1
# of evaluation's targets: how many must be among fit's where samples and targets have only come apart
HALF = 0.5


def judge(case: Case) -> None:
    """Name what evaluation's data have to do with the gap."""
    if case.elsewhere is None:
        return
    ours, theirs = case.fit.look, case.elsewhere.look
    value = case.evaluated_elsewhere - case.evaluated
    if np.array_equal(np.sort(ours.samples), np.sort(theirs.samples)):
        same_samples.judge(case, ours, theirs, value)
        return
    other = renumbered(case) if case.costs(value) else None
    if other is not None:
        case.add("samples", value)
        find(case, "samples", True, value, (), other[0], "classes", other[1])
        return
    parted = _parted(ours, theirs)
    if parted and np.isin(theirs.targets, ours.targets).mean() < HALF:
        _other_targets(case, parted, value)
        return
    if parted:
        evidence = (
            f"{parted} inputs are in both data sets with another target each: inputs and targets came apart."
        )
        case.add("samples", value)
        find(case, "samples", True, value, (), evidence, "apart")
        return
    if np.array_equal(np.sort(ours.targets), np.sort(theirs.targets)) and len(set(ours.targets)) > 1:
        _same_targets(case, ours, theirs, value)
        return
    _other_samples(case, ours, theirs, value)


def _other_targets(case: Case, count: int, value: float) -> None:
    """Targets of the same inputs that no sample of fit's has: no other order of the samples gives these."""
    case.add("data-differ", value)
    if case.matters(value):
        evidence = (
            f"{count} inputs are in both data sets with another target each, and evaluation's targets are hardly ever"
            " among fit's: they are scaled, rounded or numbered in another way."
        )
        find(case, "data-differ", True, value, (), evidence)


def _parted(ours: Look, theirs: Look) -> int:
    """How many inputs that come once in both have another target in each."""
    ones, firsts = np.unique(ours.inputs, return_index=True)
    others, seconds = np.unique(theirs.inputs, return_index=True)
    _, mine, yours = np.intersect1d(ones, others, return_indices=True)
    apart = ours.targets[firsts[mine]] != theirs.targets[seconds[yours]]
    return int(apart.sum()) if apart.sum() > 0.05 * len(ones) else 0


def _same_targets(case: Case, ours: Look, theirs: Look, value: float) -> None:
    known = _preprocessing(case, ours, theirs)
    added, alike = noise.explains(case, theirs), known is None and _apart(ours, theirs) < LIKE
    if alike and not added and case.fit.twice and case.costs(value):
        evidence = (
            "Both data sets have the same targets and inputs of the same mean and deviation, and two passes over fit's"
            " give the same, yet evaluation's are others: columns, channels or axes in another order, another resizing,"
            " or an augmentation whose seed makes it the same in every pass."
        )
        case.add("data-differ", value)
        find(case, "data-differ", True, value, (), evidence)
        return
    if (added or alike) and case.fit.twice and not _steady(case):
        case.add("random-evaluation", value)  # found where two passes were seen to differ
        return
    if added or alike:
        _augmented(case, value, "Both data sets have the same targets; fit's inputs are")
        return
    case.add("data-differ", value)
    if case.matters(value) or known:
        known = known or _roughly(case, ours, theirs)
        find(
            case, "data-differ", case.matters(value), value, (), _told(ours, theirs, known), *_changed(known)
        )


def _steady(case: Case) -> bool:
    """Whether two passes over evaluation's data give the same."""
    return case.elsewhere is None or case.elsewhere.twice


def _augmented(case: Case, value: float, told: str) -> None:
    case.add("augmentation", value)
    if case.matters(value):
        how = (
            "changed, with the same mean and deviation or by noise,"
            if case.fit.twice
            else "other from pass to pass"
        )
        find(case, "augmentation", False, value, (), f"{told} {how} and evaluation's aren't.")


def _other_samples(case: Case, ours: Look, theirs: Look, value: float) -> None:
    known = _preprocessing(case, ours, theirs)
    apart = known is not None or _apart(ours, theirs) > 1.0
    if apart and noise.explains(case, theirs):
        _augmented(case, value, "The data sets hold other samples each; fit's inputs are")
        return
    if apart:
        case.add("data-differ", value)
        if case.costs(value):
            known = known or _roughly(case, ours, theirs)
            find(case, "data-differ", True, value, (), _told(ours, theirs, known), *_changed(known))
        return
    case.add("samples", value)
    if case.matters(value):
        common = len(np.intersect1d(ours.samples, theirs.samples))
        evidence = (
            f"fit sees {ours.size} samples, evaluation {theirs.size}; {common} are in both. Without anything else"
            f" changed fit's evaluate to {figure(case.evaluated)}, evaluation's to {figure(case.evaluated_elsewhere)}."
        )
        find(case, "samples", False, value, (), evidence)


def _apart(ours: Look, theirs: Look) -> float:
    """How far the inputs of both lie apart by channel: means in deviations, or deviations as a ratio's logarithm."""
    if not len(ours.mean) or ours.mean.shape != theirs.mean.shape:
        return 0.0
    deviation = np.maximum(ours.deviation, 1e-12 * (1 + np.abs(ours.mean)))
    means = np.abs(theirs.mean - ours.mean) / deviation
    ratio = np.abs(np.log(np.maximum(theirs.deviation, 1e-12) / deviation))
    return float(np.median(np.maximum(means, ratio)))


def _roughly(case: Case, ours: Look, theirs: Look) -> str | None:
    """The same of inputs that are augmented besides, which moves their mean and deviation a little."""
    return None if case.fit.twice else _preprocessing(case, ours, theirs, ROUGH)


def _preprocessing(case: Case, ours: Look, theirs: Look, same: float = SAME) -> str | None:
    """The code of a known change that makes fit's inputs of evaluation's; None where none does."""
    if not len(ours.mean) or ours.mean.shape != theirs.mean.shape or _apart(ours, theirs) < 4 * SAME:
        return None
    for change in CHANGES:
        if change.colours and len(ours.mean) != 3:
            continue
        mean = change.apply(theirs.mean[None])[0]
        deviation = np.abs(change.apply((theirs.mean + theirs.deviation)[None])[0] - mean)
        scale = np.maximum(ours.deviation, 1e-12)
        if np.all(np.abs(mean - ours.mean) < same * 3 * scale) and np.all(
            np.abs(deviation - ours.deviation) < 2 * same * scale
        ):
            return change.written(case.framework)
    return None


def _told(ours: Look, theirs: Look, known: str | None) -> str:
    shown = ", ".join(
        f"{name} {figure(float(np.mean(a)))} and {figure(float(np.mean(b)))}"
        for name, a, b in (("mean", ours.mean, theirs.mean), ("deviation", ours.deviation, theirs.deviation))
    )
    change = " The code below makes evaluation's like fit's." if known else ""
    return f"The inputs of fit and of evaluation are of different preprocessings: {shown}.{change}"


def _changed(known: str | None) -> tuple[str, str]:
    """What the cure of data that differ is, with a known change and without."""
    return ("changed", known) if known else ("", "")
