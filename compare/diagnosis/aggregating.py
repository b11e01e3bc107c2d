"""The ways in which people average the losses of batches: does one of them give the figure that was reported?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compare.diagnosis.case import Case, figure, rounding
from compare.diagnosis.finding import find
from compare.diagnosis.side import Pass

# relative: a figure recomputed from the same numbers; from the same by float32; one that weights moved a little under
EXACT, SINGLE, NEAR = 1e-3, 1e-5, 0.03
# batches of an epoch of which every end is tried; of more some end would fit by chance
FEW = 40
# of how exactly an end must fit: how far from it another one may lie that fits by chance as well
APART = 20
# micro-batches an update that people use, and those that most use
FACTORS, USUAL = range(2, 9), (2, 4, 8)


@dataclass(frozen=True)
class Average:
    """Another way to average batches, and what it comes to.

    Attributes:
        exact: whether it gives the figure itself, and not only one that weights could have moved to it.
    """

    value: float
    words: str
    exact: bool = True


def averaged(case: Case, one: Pass | None, said: float, near: float = EXACT) -> Average | None:
    """The way of averaging that gives the figure that was said; as near as ``near``, relative."""
    if one is None:
        return None
    losses = np.array([step.loss for step in one.steps])
    sizes = np.array([step.size for step in one.steps], float)
    true = one.figures["loss"]
    count = len(losses)
    ways = [Average(float(losses.mean()), "the mean of the batches' means, whatever their sizes"),
            Average(float(losses.sum()), "the sum over the batches"),
            Average(float(losses.sum() / sizes.sum()), "the sum of the batches' means over the number of samples"),
            Average(float((losses * sizes).sum()), "the sum over the samples")]  # fmt: skip
    # which batch was the last is known only where they always come in the same order, with nothing random in them
    known_last = (
        case.framework == "torch"
        and case.fit.dealt
        and not case.measured.switches & {"dropout", "augmentation"}
    )
    if count > 1 and known_last and len({round(float(x), 12) for x in losses}) > 1:
        ways.append(Average(float(losses[-1]), "the last batch's alone"))
    for way in ways:
        if _off(way.value, said) <= near and _off(way.value, true) > (1 + near) ** 3 - 1:
            return way
    in_fit = one is case.measured.fit
    if in_fit and (reset := _reset(case, losses, sizes, said)) is not None:
        return reset
    # evaluation's weights don't move; and where its figure isn't that of these weights, training's isn't either
    of_these = not case.matters(case.said_in_evaluation - case.evaluated_elsewhere)
    return divided(case, true, said, NEAR if in_fit and of_these else EXACT)


def _off(value: float, other: float) -> float:
    """How far two figures lie apart, of the smaller one."""
    return abs(value - other) / max(min(abs(value), abs(other)), 1e-30)


def _reset(case: Case, losses: np.ndarray, sizes: np.ndarray, said: float) -> Average | None:
    """A mean over the last batches alone, or over them and an evaluation: it was reset in mid-epoch.

    There are so many such means that one must fit as exactly as the figure is written, with no other near it.
    """
    if not case.fit.dealt or not 2 < len(losses) <= FEW:
        return None
    exactly = max(SINGLE * abs(said), rounding(said))
    if exactly > EXACT / 4 * abs(said):
        return None
    count = (case.elsewhere or case.fit).look.size
    ways = []
    for first in range(1, len(losses)):
        total, size = float((losses * sizes)[first:].sum()), float(sizes[first:].sum())
        words = f"that of the last {len(losses) - first} of {len(losses)} batches"
        evaluated = (total + count * case.evaluated_elsewhere) / (size + count)
        ways += [Average(total / size, words), Average(evaluated, f"{words} and an evaluation in mid-epoch")]
    best = min(ways, key=lambda way: abs(way.value - said))
    near = [way for way in ways if abs(way.value - said) <= APART * exactly]
    return best if len(near) <= 2 and abs(best.value - said) <= exactly else None


def divided(case: Case, true: float, said: float, near: float) -> Average | None:
    """A whole number between the two: micro-batches an update.

    Args:
        case: knows how many there are, where the trainer says so.
        true, said: the mean over the samples, and the figure that was said.
        near: how far from that number weights that moved may have taken the figure, relative.
    """
    known = case.measured.facts.accumulation
    if case.framework == "keras" and known is None:
        return None  # its figures are the framework's own averages, which know no micro-batches
    if not (true > 0 and said > 0):
        return None
    for up, ratio in ((False, true / said), (True, said / true)):
        for number in sorted(
            {*FACTORS, *({known} if known and known > 1 else ())}, key=lambda n: abs(ratio / n - 1)
        ):
            off = abs(ratio / number - 1)
            # weights that moved make training's figure larger, so that only a division is told apart by being near,
            # and numbers that few people use lie too close to one another for that
            usual = number == known or (not up and number in USUAL and ratio < number)
            if off <= (near if usual else EXACT):
                how = "times" if up else "divided by"
                words = f"the true figure {how} {number}, as by {number} micro-batches an update"
                return Average(true * number if up else true / number, words, exact=off <= EXACT)
    return None


def find_average(case: Case, value: float, average: Average, evaluation: bool) -> None:
    """Find that a reported loss, evaluation's or else training's, is averaged in another way."""
    whose, said, measured = (
        ("evaluation's", case.said_in_evaluation, case.evaluated_elsewhere)
        if evaluation
        else ("training's", case.said_in_fit, case.as_in_fit)
    )
    evidence = (
        f"The mean over all samples is {figure(measured)}; {whose} reported {figure(said)} is {average.words}"
        f" (ratio {measured / said:.4g})."
    )
    find(case, "aggregation", False, value, (), evidence)
