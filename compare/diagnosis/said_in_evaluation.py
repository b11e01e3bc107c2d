"""Evaluation's reported loss beside a measured evaluation: what is the figure of, where it isn't of that?"""

from __future__ import annotations

from math import isfinite

import numpy as np

from compare.diagnosis.aggregating import EXACT, averaged, find_average
from compare.diagnosis.case import Case, figure
from compare.diagnosis.finding import find
from compare.diagnosis.inputs import evaluated_as
from compare.diagnosis.modes import find_no_figure
from compare.diagnosis.objectives import find_other, other_objective
from compare.diagnosis.side import Pass

# relative: a figure that masks moved a little
NEAR = 0.03
# of the loss: what a random evaluation may be off by at the least, few as the evaluations are that were made
RANDOM = 0.2


def judge(case: Case) -> None:
    """Split what lies between a measured evaluation and evaluation's reported loss."""
    if "loss" not in case.reported.evaluate:
        return
    rest = case.said_in_evaluation - case.evaluated_elsewhere
    if not isfinite(rest):
        case.add("unexplained", rest)
        find_no_figure(case, "Evaluation", case.said_in_evaluation, case.evaluated_elsewhere)
    elif abs(rest) <= 1e-6 * max(1.0, abs(case.gap)):
        return  # rounding
    elif case.matters(rest):
        case.add(_cause(case, rest), rest)
    elif case.has("random-evaluation"):
        case.add("random-evaluation", rest)
    else:
        of_others = case.reported.validation and case.elsewhere is None
        case.add("samples" if of_others else "unexplained", rest)


def _cause(case: Case, rest: float) -> str:
    """Find what the figure is of, and name its cause."""
    said, evaluated = case.said_in_evaluation, case.measured.elsewhere or case.measured.evaluate
    chance = _by_chance(case, evaluated)
    near = max(EXACT, chance / max(abs(evaluated.figures["loss"]), 1e-30))
    if (average := averaged(case, evaluated, said, near)) is not None:
        find_average(case, rest, average, evaluation=True)
        return "aggregation"
    if case.has("evaluation-changes-state"):
        return "evaluation-changes-state"
    if abs(rest) <= chance:
        return "random-evaluation"
    if case.reported.validation and case.elsewhere is None:
        _find_validation(case, rest)
        return "samples"
    if _find_training_mode(case, rest):
        return "mode-in-evaluation"
    if _find_other_targets(case, rest, evaluated):
        return "samples"
    if (change := evaluated_as(case, said)) is not None:
        evidence = f"Evaluation's reported loss is that of other inputs: {change}."
        find(case, "data-differ", True, rest, (), evidence)
        return "data-differ"
    if (other := other_objective(case, said, evaluation=True)) is not None:
        find_other(case, rest, *other)
        return other[0]
    evidence = (
        f"These weights evaluate to {figure(case.evaluated_elsewhere)} on these data, {figure(said)} was reported:"
        " it is of other weights, of other data, or in other units."
    )
    known = bool(case.measured.facts.notes)
    find(case, "other-weights", known, rest, (), evidence, "" if known else "perhaps")
    return "other-weights"


def _by_chance(case: Case, evaluated: Pass) -> float:
    """How far apart two evaluations may be where evaluation is random: 0 where it isn't."""
    if not case.has("random-evaluation"):
        return 0.0
    losses, steps = case.measured.probed.losses, [step.loss for step in evaluated.steps]
    return max(
        RANDOM * evaluated.figures["loss"],
        3 * (max(losses) - min(losses)),
        3 * float(np.std(steps)) / len(steps) ** 0.5,
    )


def _find_validation(case: Case, rest: float) -> None:
    """What `fit` says of validation is evaluation, in its mode and by its loss: of other samples, then."""
    evidence = (
        f"val_loss, {figure(case.said_in_evaluation)}, is of the validation data that fit was given; these samples"
        f" evaluate to {figure(case.evaluated_elsewhere)}."
    )
    find(case, "samples", False, rest, (), evidence, "validation")


def _find_training_mode(case: Case, rest: float) -> bool:
    """Whether passes in training mode over evaluation's data give the figure, by their spread over masks."""
    said, evaluated = case.said_in_evaluation, case.evaluated_elsewhere
    if not case.measured.switches:
        return False
    losses = [case.as_in_fit if case.elsewhere is None else _in_training(case, 0)]
    if not abs(said - losses[0]) < abs(said - evaluated):
        return False
    losses += [_in_training(case, seed) for seed in (1, 2, 3)]
    middle, spread = float(np.mean(losses)), 3 * float(np.std(losses))
    near = abs(said - middle)
    if not (near <= max(NEAR * abs(said), spread) and 2 * near < abs(said - evaluated)):
        return False
    evidence = (
        f"Evaluation's reported loss, {figure(said)}, is what a pass over its data in training mode gives"
        f" ({figure(middle)}); in evaluation mode it is {figure(evaluated)}."
    )
    find(case, "mode-in-evaluation", True, rest, (), evidence)
    return True


def _in_training(case: Case, seed: int) -> float:
    """The loss of evaluation's data in training mode; batches of one sample, which that refuses, are left out."""
    data = case.elsewhere or case.fit
    least = min(2, max(data.look.batches))
    batches = (batch for batch in data if batch.size >= least)
    return case.subject.run(batches, case.measured.switches, seed=seed).figures["loss"]


def _find_other_targets(case: Case, rest: float, one: Pass) -> bool:
    """Whether these outputs give the figure beside targets of other samples, and not something beyond it."""
    said, losses = case.said_in_evaluation, [step.shuffled for step in one.steps if step.shuffled is not None]
    if not losses:
        return False
    parted = float(np.mean(losses))
    near = abs(said - parted)
    # of an untrained model other targets give nearly what its own do: any figure near both would be called this
    if not (near < 0.15 * abs(said) and 2 * near < abs(said - case.evaluated_elsewhere)):
        return False
    evidence = (
        f"Evaluation's reported loss, {figure(said)}, is what targets of other samples give"
        f" ({figure(parted)}); with their own it is {figure(case.evaluated_elsewhere)}:"
        " inputs and targets have come apart, as where each is taken in a pass of its own over shuffled data."
    )
    find(case, "samples", True, rest, (), evidence, "apart")
    return True
