"""The last step of normalisation, from what a moving average goes to to what is stored: whose fault is it?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.diagnosis.averages import of_layer
from compare.diagnosis.case import Case, figure, loss
from compare.diagnosis.finding import find
from compare.diagnosis.inputs import changed_inputs
from compare.diagnosis.side import Layer
from compare.spec import LAG, some

# batches that a moving average stands for, (1 + decay) / (1 - decay), below which it is a few batches' whim
FEW_BATCHES = 3.1
# logarithms of ratios of variances: one that no past batch can have given, one that data of a kind may have
IMPOSSIBLE, USUAL = 7.0, 1.0


@dataclass(frozen=True)
class Drift:
    """How far a layer's stored statistics lie from what a moving average of fit's batches goes to.

    Attributes:
        mean: root of the mean square of the means' distance, in standard deviations of the data.
        variance: the same of the logarithm of the variances' ratio.
        left: share of the initial 0 and 1 that the stored values are a mixture with; None where they are none.
    """

    mean: float
    variance: float
    left: float | None


def drift(row: Layer, mean: np.ndarray, variance: np.ndarray) -> Drift:
    """Measure a layer's drift from the mean of the batches' statistics."""
    assert row.mean is not None
    assert row.variance is not None
    floor = np.maximum(variance, 1e-12 + 1e-9 * float(np.max(variance, initial=0.0)))
    with np.errstate(all="ignore"):
        means = np.sqrt(np.mean((row.mean - mean) ** 2 / floor))
        variances = np.sqrt(np.mean(np.log(np.maximum(row.variance, 1e-12) / floor) ** 2))
    return Drift(float(means), float(variances), _left(row, mean, variance, floor))


def _left(row: Layer, mean: np.ndarray, variance: np.ndarray, floor: np.ndarray) -> float | None:
    """Fit stored = share * initial + (1 - share) * the batches' over all channels; None where that doesn't fit."""
    assert row.mean is not None
    assert row.variance is not None
    way = np.concatenate([-mean / np.sqrt(floor), (1 - variance) / floor])
    stored = np.concatenate([(row.mean - mean) / np.sqrt(floor), (row.variance - variance) / floor])
    if not np.isfinite(stored).all() or way @ way < 1e-6 * len(way):
        return None
    share = float(way @ stored / (way @ way))
    rest = stored - share * way
    return share if 0 < share <= 1.001 and rest @ rest < 0.1 * (stored @ stored) else None


def judge(case: Case, value: float) -> None:
    """Name the causes of the last step, and split it among them; there is a layer that stands on stored values."""
    groups = _causes(case, case.normalisations(), value)
    for cause, share in _shares(case, groups, value).items():
        case.add(cause, share)
        rows = groups[cause]
        # those of an input are told, with their evidence, where the input's change is found
        if cause != "input-scale" and _harms(case, cause, share, rows):
            _find(case, cause, share, rows)


def _harms(case: Case, cause: str, share: float, rows: list[Layer]) -> bool:
    """Whether a cause does harm: broken values, and layers that only look frozen, whatever they cost."""
    if cause == "numerics" or (cause == "not-frozen" and case.measured.facts.trains):
        return True
    return _costs(case, share) and _felt(case, cause, rows)


def _felt(case: Case, cause: str, rows: list[Layer]) -> bool:
    """Whether evaluation is worse than training; an average that has arrived does no harm where it isn't."""
    arrived = all(not row.virgin and row.steps and row.decay and row.decay**row.steps < LAG for row in rows)
    return not (cause == "stale-statistics" and arrived) or _costs(case, case.evaluated - case.as_in_fit)


def _costs(case: Case, value: float) -> bool:
    """Whether the last step costs something: a network's sureness, which makes batches differ, has no part in it.

    Nor has chance where a layer's stored values hold more of the initial ones than they may: few batches differ much.
    """
    if not case.costs(value, chance=False, floor=case.trifle):
        return False
    started = any((one.left or 0.0) > LAG for one in drifts(case).values())
    return started or case.costs(value, floor=case.trifle)


def _causes(case: Case, rows: list[Layer], value: float) -> dict[str, list[Layer]]:
    groups: dict[str, list[Layer]] = defaultdict(list)
    copied = _is_copy(case, rows)
    corrupt = _corrupt(case, rows) if case.costs(value) else None
    # of values that are as they were made, inputs of another scale are no cause, though they may come nearer to them
    other = case.costs(value) and not case.fit.prepared and not _as_made(case, rows[0])
    changed = corrupt is None and other and changed_inputs(case)
    for row in rows:
        cause = "numerics" if row.name == corrupt else _cause(row, copied)
        groups["input-scale" if changed and not row.faults else cause].append(row)
    return groups


def _as_made(case: Case, row: Layer) -> bool:
    """Whether a layer has stored the 0 and 1 that it began with, as far as its steps have left them there."""
    left = _drift(case, row).left
    if row.virgin or left is None or left <= LAG:
        return row.virgin
    return not (row.steps and row.decay) or left <= 1.15 * row.decay**row.steps + LAG


def _is_copy(case: Case, rows: list[Layer]) -> bool:
    """Whether all statistics are as they were made though a training would have moved them, and weights aren't."""
    virgin = [row for row in rows if row.virgin and row.moves and not row.steps]
    facts = case.measured.facts
    return len(virgin) == len(rows) and len(facts.initial) < 0.5 * facts.parameters


def _corrupt(case: Case, rows: list[Layer]) -> str | None:
    """The one layer, and not the first, whose variances no batch can have given while its neighbours' are right."""
    far = {row.name: _drift(case, row).variance for row in rows if not row.faults and not row.virgin}
    odd = [name for name, value in far.items() if value > IMPOSSIBLE]
    others = [value for name, value in far.items() if name not in odd]
    alone = len(odd) == 1 and len(others) >= 1 and max(others) < USUAL and odd[0] != rows[0].name
    return odd[0] if alone else None


def _cause(row: Layer, copied: bool) -> str:
    if row.faults:
        return "numerics"
    if not row.moves:
        return "stale-statistics" if row.virgin else "foreign-statistics"
    if row.virgin and copied:
        return "other-weights"
    if row.frozen:
        return "not-frozen"
    if row.decay is not None and (1 + row.decay) / max(1e-12, 1 - row.decay) < FEW_BATCHES:
        return "decay"
    return "stale-statistics"


def _shares(case: Case, groups: dict[str, list[Layer]], value: float) -> dict[str, float]:
    """Split the step among groups of layers: each group's own, first and last to go, and the rest to the largest."""
    if len(groups) == 1:
        return dict.fromkeys(groups, value)
    if not np.isfinite(value):
        return {cause: value if cause == "numerics" else 0.0 for cause in groups}
    averaged = case.measured.averaged or {}
    stored = {row.name: (row.mean, row.variance) for row in case.normalisations()}
    first, last = loss(case.measured.under_averages), case.evaluated
    shares = {}

    def under(names_of: set[str]) -> float:
        """Loss with these layers' statistics as stored, the others' as averaged."""
        given: Any = {
            call: stored[layer] if (layer := call.split("#")[0]) in names_of else pair
            for call, pair in averaged.items()
        }
        return case.subject.run(case.fit, frozenset(), statistics=given).figures["loss"]

    for cause, rows in groups.items():
        mine = {row.name for row in rows}
        shares[cause] = (under(mine) - first + last - under(stored.keys() - mine)) / 2
    largest = max(shares, key=lambda cause: abs(shares[cause]))
    shares[largest] += value - sum(shares.values())
    return shares


def _find(case: Case, cause: str, value: float, rows: list[Layer]) -> None:
    if cause == "numerics":
        evidence = f"The stored statistics are broken: {'; '.join(_broken(case, row) for row in rows[:3])}."
    else:
        evidence = (
            f"{_what(case, cause, rows)} {_worst(case, rows)} With the mean of the batches' own statistics in their"
            f" place an evaluation's loss is {figure(loss(case.measured.under_averages))}, with those stored"
            f" {figure(case.evaluated)}."
        )
    detail = "by-hand" if any(row.by_hand for row in rows) else ""
    find(case, cause, True, value, tuple(row.name for row in rows), evidence, detail)


def _broken(case: Case, row: Layer) -> str:
    if row.faults:
        return f"{row.name} holds {', '.join(row.faults)}"
    times = float(np.exp(_drift(case, row).variance))
    return (
        f"the variances of {row.name} are off by a factor of {times:.2g} while those of the layers around it aren't,"
        " which no batch can have done"
    )


def _what(case: Case, cause: str, rows: list[Layer]) -> str:
    row, names_of = rows[0], some(tuple(row.name for row in rows))
    if cause == "foreign-statistics":
        return (
            f"Training normalises {names_of} with each batch's own statistics, evaluation with stored ones that never"
            " move."
        )
    if cause == "decay":
        share = 1 - (row.decay or 0)
        return (
            f"{row.name} keeps {row.decay:.3g} of its old statistics in a step, so that what it stores is to"
            f" {share:.0%} the last batch."
        )
    if cause == "not-frozen":
        return f"Nothing in {names_of} trains, but statistics move there: training normalises with the batch's own."
    if cause == "other-weights":
        return f"The statistics of {names_of} are as they were made, and its weights aren't: a copy without buffers."
    if row.virgin and not row.moves:
        return f"The statistics of {names_of} are as they were made and never move."
    if row.virgin:
        return f"The statistics of {names_of} are as they were made: no step has moved them."
    left = _drift(case, row).left
    updates = f"{row.steps} update{'' if row.steps == 1 else 's'}"
    kept = ""
    if left is not None and left > LAG:
        kept = f" {left:.0%} of the initial 0 and 1 is still in it{f' after {updates}' if row.steps else ''}."
    elif row.steps and row.decay:
        over = float(row.decay) ** row.steps
        rest = f"{over:.0%}" if over >= LAG else "less than 5%"
        kept = (
            f" A decay of {row.decay:.4g} keeps {rest} of an old value over the {updates} that were counted."
        )
    return f"The moving statistics of {names_of} haven't arrived at the data's.{kept}"


def _worst(case: Case, rows: list[Layer]) -> str:
    far = max(rows, key=lambda row: _drift(case, row).mean)
    return f"The means of {far.name} lie {_drift(case, far).mean:.2g} standard deviations off the data's."


def _drift(case: Case, row: Layer) -> Drift:
    seen = case.measured.seen
    return drift(row, *of_layer(seen, row.name, row.decay)) if row.name in seen else Drift(0.0, 0.0, None)


def drifts(case: Case) -> dict[str, Drift]:
    """Layer -> how far its stored statistics lie from the data's."""
    return {row.name: _drift(case, row) for row in case.normalisations()}
