"""What makes the figures themselves unreliable: random evaluation, one that changes state, modes that aren't meant."""

from __future__ import annotations

from collections import defaultdict
from math import isfinite
from typing import NamedTuple

import numpy as np

from compare.diagnosis.case import Case, figure, loss
from compare.diagnosis.finding import find
from compare.diagnosis.side import Layer
from compare.spec import some

# of the loss: what evaluating on the batch's statistics must cost to be called harmful
DEARLY = 0.25
# of the loss: what half precision may change
HALF = 0.01
# deviations that inputs lie off 0 from which on float32 keeps few digits of them
FAR = 100.0


class _Same(NamedTuple):
    """What may be so of several layers."""

    cause: str
    words: str
    detail: str


def judge(case: Case) -> None:
    """Find all of them, whatever the terms say."""
    _random(case)
    _changing(case)
    _overridden(case)
    _ignored(case)
    _switched_off(case)
    _by_batch(case)
    _never_training(case)
    _not_finite(case)
    _in_half(case)
    _compiled(case)


def _random(case: Case) -> None:
    probed = case.measured.probed
    if probed.twice == "differs":
        drawing = [
            row for row in case.measured.layers if row.role != "normalisation" and row.evaluate == "on"
        ]
        losses = probed.losses
        evidence = (
            f"Evaluations of the same samples with the same weights give losses from {figure(min(losses))} to"
            f" {figure(max(losses))}."
        )
        if drawing:
            evidence += f" Random in evaluation: {some([row.name for row in drawing])}."
        kinds = {row.kind.lower() for row in drawing} - {"step"}
        detail = "" if any("drop" in kind for kind in kinds) else "drawn" if kinds else "step"
        if drawing and all(row.override is not None and row.override.by == "hand" for row in drawing):
            detail = "stuck"
        harmful = case.measured.facts.evaluates or detail != "step"
        if not harmful:
            evidence += " Nothing evaluates this model: the step of training stands for that here."
        find(case, "random-evaluation", harmful, 0.0, tuple(row.name for row in drawing), evidence, detail)
    other = case.elsewhere
    if other is not None and not other.twice and other.data.given is not case.fit.data.given:
        evidence = (
            "Two passes over evaluate_data give other inputs each: every evaluation is of something else."
        )
        find(case, "random-evaluation", True, 0.0, (), evidence, "data")


def _changing(case: Case) -> None:
    probed = case.measured.probed
    if probed.state != "differs":
        return
    changed = [name.partition(":")[2] for name in probed.changed]
    losses = [figure(value) for value in probed.in_a_row]
    evidence = f"An evaluation changes what the model keeps: {some(changed)}."
    if len(set(losses)) > 1:
        evidence += (
            f" Evaluations of the same samples one after the other give losses of {', '.join(losses)}."
        )
    layers = tuple(row.name for row in case.measured.layers if row.moves_in_evaluation)
    detail = "memory" if all(name.startswith("memory:") for name in probed.changed) else ""
    find(case, "evaluation-changes-state", True, 0.0, layers, evidence, detail)


def _overridden(case: Case) -> None:
    """Layers that act in evaluation as in training, by somebody's doing."""
    alike: dict[_Same, list[str]] = defaultdict(list)
    for row in case.measured.layers:
        if row.override is None or not _acts(row) or row.override.by == "untold":
            continue
        cause = "mode-override" if row.override.by in ("class", "call") else "mode-in-evaluation"
        stuck = row.override.by == "class" or row.moves_in_evaluation
        if row.role == "normalisation" and not stuck and not _cost(case):
            continue
        if row.role != "normalisation" and case.measured.probed.twice == "same":
            continue
        detail = "function" if row.override.by == "function" else ""
        alike[_Same(cause, f"{row.override.words}.", detail)].append(row.name)
    _find_each(case, alike)


def _ignored(case: Case) -> None:
    """Layers that training runs otherwise than their code asks for, where that changes something."""
    alike: dict[_Same, list[str]] = defaultdict(list)
    for row in case.measured.layers:
        if row.override is None or row.fit == row.flag_fit or row.fit == "unreached":
            continue
        off = row.fit in ("moving", "off")
        if off or row.moves or row.switch:
            uses = f"normalises with the {'batch' if row.fit == 'batch' else 'stored'} statistics"
            done = f"training {uses if row.role == 'normalisation' else f'runs it {row.fit}'}"
            detail = "frozen" if row.fit == "batch" else "steps" if case.measured.facts.objectives else ""
            alike[_Same("mode-override", f"{row.override.words}; {done}.", detail)].append(row.name)
    _find_each(case, alike)


def _find_each(case: Case, alike: dict[_Same, list[str]]) -> None:
    """Find what is so of layers, once for all of which the same is so."""
    for same, layers in alike.items():
        evidence = f"{some(layers)}: {same.words}"
        find(case, same.cause, True, 0.0, tuple(layers), evidence, same.detail)


def _switched_off(case: Case) -> None:
    """Layers whose code asks to act in evaluation, too, and don't, where that changes something."""
    changes = case.differs(case.evaluated - case.as_in_fit)
    for row in case.measured.layers:
        asked = row.flag_evaluate in ("on", "batch") and row.evaluate in ("off", "moving")
        if row.override is None or not asked or row.fit != row.flag_evaluate or not changes:
            continue
        if row.role == "normalisation" and not case.costs(case.evaluated - case.as_in_fit):
            continue
        evidence = (
            f"{row.name}: {row.override.words}; evaluation runs it {row.evaluate}, and its loss is"
            f" {figure(case.evaluated)} instead of {figure(case.as_in_fit)}."
        )
        find(case, "mode-override", True, 0.0, (row.name,), evidence, "always")


def _acts(row: Layer) -> bool:
    """Whether a layer does in evaluation what it does in training, against what evaluation asks for."""
    if row.role == "normalisation":
        return (row.evaluate == "batch" and row.flag_evaluate == "moving") or (
            row.fit != row.flag_fit and row.switch
        )
    return row.evaluate == "on"


def _cost(case: Case) -> float:
    """What evaluating on batch statistics costs; 0 where it costs nothing that could be measured."""
    measured, found = case.measured, [0.0]
    if measured.restacked is not None:
        found.append(abs(measured.restacked - case.evaluated))
    if measured.probed.by_itself is not None:
        alone, together = measured.probed.by_itself
        found.append(alone - together)
    worst = max(value for value in found if np.isfinite(value))
    # a network that has memorised its batches does a little worse in others: that is no harm that a mode does
    return worst if case.costs(worst) and worst > max(DEARLY * case.evaluated, 2.5 * case.floor) else 0.0


def _by_batch(case: Case) -> None:
    rows = [row for row in case.measured.layers if row.role == "normalisation" and row.evaluate == "batch"]
    if not rows or case.measured.probed.alone != "differs" or case.has("mode-override"):
        return
    cost = _cost(case)
    if not cost or case.has("mode-in-evaluation"):
        return
    evidence = (
        f"{some([row.name for row in rows])} normalises with the batch in evaluation: what a sample's outputs are"
        f" depends on its neighbours. In other batches the loss is {figure(cost)} away."
    )
    meant = all(row.override is None for row in rows)  # no mode would make it another
    layers = tuple(row.name for row in rows)
    find(case, "mode-in-evaluation", True, 0.0, layers, evidence, "by-batch" if meant else "")


def _never_training(case: Case) -> None:
    """A model that was seen in evaluation mode inside the training step."""
    if case.reported.modes.get("", True):
        return
    idle = [
        row.name
        for row in case.measured.layers
        if row.role == "normalisation" and row.fit == "moving" and row.trains
    ]
    if idle:
        evidence = (
            f"The model was in evaluation mode inside the training step: {some(idle)} normalised with stored"
            " statistics, which don't move then; dropout was off."
        )
        find(case, "mode-override", True, 0.0, tuple(idle), evidence, "never-training")


def _not_finite(case: Case) -> None:
    """Losses that aren't finite in evaluation, though the stored statistics are."""
    measured = case.measured
    evaluated = [step.loss for step in measured.evaluate.steps]
    if np.isfinite(evaluated).all() or any(row.faults for row in measured.layers):
        return
    fit = [step.loss for step in measured.fit.steps] if measured.fit else []
    broken = sum(not np.isfinite(value) for value in evaluated)
    training = "all have" if np.isfinite(fit).all() else f"{sum(~np.isfinite(fit))} have none"
    evidence = (
        f"{broken} of {len(evaluated)} batches have no finite loss in evaluation; in training {training}."
    )
    if measured.nonfinite:
        evidence += f" The first layer whose output isn't finite is {measured.nonfinite}."
    layers, detail = ((measured.nonfinite,), "layer") if measured.nonfinite else ((), "loss")
    find(case, "numerics", True, case.gap, layers, evidence, detail)


def _in_half(case: Case) -> None:
    """A loss that half precision makes another one than float32 does, of the same outputs."""
    pairs = [
        (step.loss - step.penalty, step.loss_in_float32)
        for step in case.measured.evaluate.steps
        if step.loss_in_float32 is not None
    ]
    if not pairs or case.has("numerics"):
        return
    half, full = (float(np.mean(values)) for values in zip(*pairs, strict=True))
    # where one of both isn't finite neither is their distance
    if np.isfinite(full) and not abs(half - full) <= HALF * max(abs(full), 1e-6):
        evidence = (
            f"The loss of outputs in {case.measured.facts.precision} is {figure(half)}, of the same outputs in"
            f" float32 {figure(full)}: the loss leaves the precision's range."
        )
        find(case, "numerics", True, half - full, (), evidence, "half")


def find_no_figure(case: Case, who: str, said: float, measured: float) -> None:
    """Find that a loss was reported as no number, by ``Training`` or ``Evaluation``, though these weights give one."""
    if isfinite(measured) and not isfinite(said):
        evidence = f"{who} reported {said} as its loss; with these weights and data it is {figure(measured)}."
        find(case, "numerics", True, said - measured, (), evidence, "reported")


def _compiled(case: Case) -> None:
    """An evaluation that a compiler makes another one of: its order of operations loses what another keeps."""
    plain, compiled = case.measured.uncompiled, case.measured.evaluate
    if plain is None:
        return
    value = case.evaluated - loss(plain)
    case.add("numerics", value)
    evidence = (
        "evaluate is compiled by XLA (jit_compile), and its outputs differ by more than rounding from those of the same"
        f" layers one after the other: the loss is {figure(loss(compiled))} and not {figure(loss(plain))}."
    )
    look = case.fit.look
    off = float(np.max(np.abs(look.mean) / np.maximum(look.deviation, 1e-30), initial=0.0))
    if off > FAR:
        evidence += f" The inputs lie {off:.2g} deviations off 0, which leaves few of float32's seven digits."
    find(case, "numerics", True, value, (), evidence, "compiled")
