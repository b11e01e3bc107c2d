"""Training's reported loss beside a pass as in training: weights that moved, another average, other weights."""

from __future__ import annotations

from math import isfinite

import numpy as np

from compare.diagnosis.aggregating import averaged, divided, find_average
from compare.diagnosis.case import Case, figure
from compare.diagnosis.finding import find
from compare.diagnosis.mixing import deal_again, unmixed
from compare.diagnosis.modes import find_no_figure
from compare.diagnosis.objectives import find_other, other_objective
from compare.diagnosis.recorded import End, end_of
from compare.spec import some

# relative: what weights that moved much change, where something else shows that the figure isn't theirs
ROUGH = 0.15
# of training's figure: what weights that are partly as an initialiser makes them are worse by if they weren't trained
FAR = 2.0


def judge(case: Case) -> None:
    """Split what lies between training's reported loss and a pass as in training."""
    if "loss" not in case.reported.fit:
        return
    rest = case.as_in_fit - case.said_in_fit
    if not isfinite(rest):
        case.add("weights-moved", rest)
        find_no_figure(case, "Training", case.said_in_fit, case.as_in_fit)
        return
    if case.reported.plain:
        case.add("weights-moved", rest)
        if case.matters(rest):
            _moved(case, rest)
        return
    if case.matters(rest) and _other_weights(case, rest):
        return
    average = averaged(case, case.measured.fit, case.said_in_fit) if case.differs(rest) else None
    by_order = 0.0 if average is not None and average.exact else _by_order(case, rest)
    beyond = abs(rest) - by_order - _by_mask(case)
    if average is not None and (average.exact or beyond > 0):
        case.add("aggregation", rest)
        find_average(case, rest, average, evaluation=False)
        return
    if case.matters(rest) and case.matters(max(beyond, 0.0)) and _of_another(case, rest):
        return
    if by_order:
        part = float(np.clip(rest, -by_order, by_order))
        case.add("batch-composition", part, by_order)
        rest -= part
    case.add("weights-moved", rest)
    if case.matters(rest) and abs(rest) > _by_mask(case):
        _moved(case, rest)


def _of_another(case: Case, rest: float) -> bool:
    """Whether training's figure is of another objective or divided, so that weights that moved aren't all of it."""
    end = end_of(case)
    if end is None or end.stayed:
        other = other_objective(case, case.said_in_fit, evaluation=False)
        if other is not None:
            case.add(other[0], rest)
            find_other(case, rest, *other)
            return True
    if end is None or not end.surely:
        return False
    if (average := divided(case, case.as_in_fit, end.value, ROUGH)) is not None:
        whole = case.said_in_fit * case.as_in_fit / average.value
        case.add("weights-moved", case.as_in_fit - whole)
        case.add("aggregation", whole - case.said_in_fit)
        find_average(case, whole - case.said_in_fit, average, evaluation=False)
        return True
    case.add("weights-moved", end.value - case.said_in_fit)
    _beyond(case, end)
    return True


def _beyond(case: Case, end: End) -> None:
    """What an epoch's end was off by already, and is no known objective: another one, or other weights."""
    rest, times = case.as_in_fit - end.value, end.value / case.as_in_fit
    evidence = (
        "At the end of the epoch, when the weights were nearly the last ones, the losses of the loop were"
        f" {figure(times)} times those of the loss and the model that are given here: "
    )
    if times < 1:
        evidence += (
            "this model has other weights than the loop left, or the loop divides its loss, weights it, or sees other"
            " inputs."
        )
    else:
        evidence += (
            "the loop's loss is another one, with weights of classes, smoothed or mixed targets, a penalty or a factor,"
            " or it sees other inputs."
        )
    cause, detail = ("other-weights", "perhaps") if times < 1 else ("objective", "")
    case.add(cause, rest)
    find(case, cause, False, rest, (), evidence, detail)


def _other_weights(case: Case, rest: float) -> bool:
    """Evidence that these aren't the weights that training's figure is of."""
    facts = case.measured.facts
    # a network that knows its batches by heart is far worse in any others, if nobody knows which they were
    far = FAR if case.fit.dealt or "normalisation" not in case.measured.switches else 5 * FAR
    fresh = len(facts.initial) >= max(1, 0.5 * facts.parameters) or (
        facts.initial and rest > far * case.said_in_fit
    )
    if rest > 0 and case.costs(rest) and (fresh or facts.notes):
        evidence = " ".join(facts.notes)
        if fresh:
            evidence += (
                f" {len(facts.initial)} of {facts.parameters} parameters are as an initialiser makes them"
                f" ({some(facts.initial)}), and training reported {figure(case.said_in_fit)} where these weights give"
                f" {figure(case.as_in_fit)}: they aren't the trained ones."
            )
        case.add("other-weights", rest)
        detail = "averaged" if facts.notes and not fresh else ""
        find(case, "other-weights", True, rest, (), evidence.strip(), detail)
        return True
    losses = case.reported.losses
    if losses and not min(losses) - 1e-9 <= case.said_in_fit <= max(losses) + 1e-9:
        evidence = (
            f"Training's reported {figure(case.said_in_fit)} is outside all that the last epoch's batches gave"
            f" ({figure(min(losses))} to {figure(max(losses))})."
        )
        case.add("other-weights", rest)
        find(case, "other-weights", True, rest, (), evidence)
        return True
    return False


def _by_order(case: Case, rest: float) -> float:
    """How far another order of the samples could take training's figure, where nobody knows the order of `fit`."""
    measured = case.measured
    if case.fit.dealt or not measured.orders or unmixed(measured):
        return 0.0
    if case.matters(rest):
        deal_again(case.subject, case.fit.some(case.limit), measured)
    base = measured.mixed[0] if measured.mixed else case.as_in_fit
    return max(abs(value - base) for value in measured.orders)


def _by_mask(case: Case) -> float:
    """How far apart two draws of dropout's masks, or of augmentations, could take training's figure."""
    return 2**0.5 * case.chance() if case.draws() else 0.0


def _moved(case: Case, rest: float) -> None:
    losses = [step.loss for step in case.measured.fit.steps] if case.measured.fit else []
    evidence = (
        f"Training reported {figure(case.said_in_fit)}, a mean over an epoch in which the weights changed; the weights"
        f" at its end give {figure(case.as_in_fit)} on the same samples as in training."
    )
    if losses and case.said_in_fit < min(losses):
        evidence += (
            f" No batch gives as little now ({figure(min(losses))} at best): weights moved, or these are"
            " other weights, such as those of the best epoch."
        )
    if case.framework == "torch" and not case.reported.losses:
        evidence += (
            " Another loss in the loop, divided by micro-batches, of weighted classes or of smoothed or mixed targets,"
            " would show in the same way: an epoch under compare.torch.watch tells them apart."
        )
    find(case, "weights-moved", False, rest, (), evidence)
