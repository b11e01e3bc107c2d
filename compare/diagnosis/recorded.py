"""What an epoch's record says of its end, whose batches were made with nearly the weights that are there now."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from compare.diagnosis.case import Case

# batches that an epoch has at the least to have an end, and the share of them that is its end
FEW, END = 8, 6
# logarithms: what the end must be off by, and how much of what the whole epoch is off by, for weights not to be all
OFF, STAYED = log(1.2), 0.6
# relative: a figure that is the mean of the record
EXACT = 1e-3
# standard errors that an end of other batches than now must lie off by
CHANCE = 4.0


@dataclass(frozen=True)
class End:
    """The end of a recorded epoch beside what the same batches give now.

    Attributes:
        value: training's figure, had all of the epoch been like its end.
        stayed: whether the end is off by most of what the whole epoch is off by, which weights that moved are not.
        surely: whether that is no doubt: neither the last steps nor masks take losses so far.
    """

    value: float
    stayed: bool
    surely: bool


def end_of(case: Case) -> End | None:
    """Read the record's end. Weights that moved leave it as it is now: what it is off by isn't theirs.

    Returns:
        The end; None where nobody recorded the epoch that the reported figure is of, or it has too few batches.
    """
    losses, passed = np.array(case.reported.losses), case.measured.fit
    if passed is None or len(losses) < FEW or len(losses) != len(passed.steps):
        return None
    now, sizes = (np.array([getattr(step, name) for step in passed.steps]) for name in ("loss", "size"))
    said, true = case.said_in_fit, case.as_in_fit
    if not (np.isfinite(losses).all() and min(said, true, losses.min(), now.min()) > 0):
        return None
    if abs(float(np.average(losses, weights=sizes)) - said) > EXACT * said:
        return None
    last = slice(-max(2, len(losses) // END), None)
    ended = float(np.average(losses[last], weights=sizes[last]))
    beside = float(np.average(now[last], weights=sizes[last])) if case.fit.dealt else true
    off, of_all = log(ended / beside), log(said / true)
    stayed = off * of_all > 0 and abs(off) >= STAYED * abs(of_all)
    surely = abs(off) >= OFF and abs(ended - beside) > _chance(case, losses[last], len(losses))
    return End(true * ended / beside, stayed, stayed and surely)


def _chance(case: Case, end: np.ndarray, count: int) -> float:
    """How far the end of an epoch may lie off by its masks, or by its batches where they are others now."""
    masks = 2**0.5 * case.chance() * (count / len(end)) ** 0.5 if case.draws() else 0.0
    return masks + (0.0 if case.fit.dealt else CHANCE * float(np.std(end)) / len(end) ** 0.5)
