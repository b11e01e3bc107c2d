"""The same steps in both: loss, gradients, moving statistics, parameters, evaluation, and a twin one rounding away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from compare.pair.arrays import Map, to_keras
from compare.pair.records import Arrays, Held
from compare.parity.figures import Distance, compare
from compare.parity.tolerances import TOLERANCES, TWIN_FACTOR

FLOOR = 1e-3  # of the model's largest gradient: below it a gradient is zero but for rounding
NOTHING = 1e-9  # of the same: what a parameter that does nothing may have


@dataclass
class Plan:
    """What both train on, and what Keras made of it.

    Attributes:
        inputs, targets: of each step, the last of evaluation.
        losses: of each step in Keras, penalties taken out.
        evaluations: loss and outputs after the first and the last step.
        first, last: files of Keras's gradients and arrays after the first step, and after the last.
    """

    inputs: list[list[np.ndarray]]
    targets: list[list[np.ndarray]]
    losses: list[float]
    evaluations: list[tuple[float, list[np.ndarray]]]
    first: str
    last: str


@dataclass
class Trained:
    """What a run of steps came to."""

    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[float, list[np.ndarray]]] = field(default_factory=list)
    gradients: Arrays = field(default_factory=dict)
    first: Arrays = field(default_factory=dict)
    last: Arrays = field(default_factory=dict)


def run(steps: Any, plan: Plan) -> Trained:
    """Take all steps."""
    done = Trained()
    *batches, evaluated = zip(plan.inputs, plan.targets, strict=True)
    for number, (inputs, targets) in enumerate(batches):
        loss, _, gradients = steps.step(inputs, targets)
        done.losses.append(loss)
        if number == 0:
            done.gradients, done.first = gradients, steps.to_arrays()
            done.evaluations.append(steps.evaluate(*evaluated))
    done.last = steps.to_arrays()
    done.evaluations.append(steps.evaluate(*evaluated))
    return done


def rows(
    plan: Plan, own: Trained, twin: Trained, found: Map, held: dict[str, Held], dtype: str
) -> dict[str, list[Distance]]:
    """Compare a run with Keras's, stage by stage.

    Args:
        twin: the same run from weights one rounding away: how far a rounding carries.
        held: what is known of Keras's arrays.
    """
    keras = load_file(plan.first)
    gradients = {n.partition("/")[2]: a for n, a in keras.items() if n.startswith("gradients/")}
    first = {n.partition("/")[2]: a for n, a in keras.items() if n.startswith("arrays/")}
    last = {n.partition("/")[2]: a for n, a in load_file(plan.last).items() if n.startswith("arrays/")}
    bound = {binding.keras for binding in found.bindings}
    stages: dict[str, list[Distance]] = {
        "loss": [
            _number("loss", own.losses[0], plan.losses[0], twin.losses[0], TOLERANCES["loss"].bar(dtype))
        ],
        "gradients": _gradients(gradients, own, twin, found, bound, dtype),
        "statistics": [],
        "parameters": [],
    }
    for step, (theirs, ours, moved) in enumerate(
        ((first, own.first, twin.first), (last, own.last, twin.last)), 1
    ):
        number = 1 if step == 1 else len(plan.losses)
        back = to_keras(found, ours, theirs)
        away = to_keras(found, moved, theirs)
        for name, array in theirs.items():
            if name in bound:
                stage = "parameters" if held[name].trains or not _moves(name) else "statistics"
                stages[stage].append(
                    _row(name, back[name], array, away[name], TOLERANCES[stage].bar(dtype), number)
                )
        if len(plan.losses) == 1:
            break
    stages["evaluation"] = _evaluation(plan, own, twin, 0, TOLERANCES["evaluation"].bar(dtype), 1)
    stages["free"] = [
        _number(f"step {n}", a, b, c, TOLERANCES["evaluation"].bar(dtype), n)
        for n, (a, b, c) in enumerate(zip(own.losses, plan.losses, twin.losses, strict=True), 1)
    ]
    stages["free"] += _evaluation(plan, own, twin, -1, TOLERANCES["evaluation"].bar(dtype), len(plan.losses))
    return stages


def _moves(name: str) -> bool:
    return name.endswith(("/moving_mean", "/moving_variance"))


def _gradients(
    theirs: Arrays, own: Trained, twin: Trained, found: Map, bound: set[str], dtype: str
) -> list[Distance]:
    ours = to_keras(found, own.gradients, theirs, total=True)
    away = to_keras(found, twin.gradients, theirs, total=True)
    largest = max((float(np.abs(a).max()) for a in theirs.values() if a.size), default=0.0)
    made = []
    for name, array in theirs.items():
        if name in bound:
            scale = max(float(np.abs(array).max()), FLOOR * largest)
            made.append(
                _row(name, ours[name], array, away[name], TOLERANCES["gradients"].bar(dtype), 1, scale)
            )
    return made


def _row(
    name: str,
    own: np.ndarray,
    reference: np.ndarray,
    twin: np.ndarray,
    bar: float,
    step: int,
    scale: float | None = None,
) -> Distance:
    carried = compare(name, twin, own, bar, scale).relative
    row = compare(
        name, own, reference, max(bar, TWIN_FACTOR * carried) if np.isfinite(carried) else bar, scale, step
    )
    row.note = f"twin {carried:.1e}"
    return row


def _number(name: str, own: float, reference: float, twin: float, bar: float, step: int = 1) -> Distance:
    return _row(name, np.array([own]), np.array([reference]), np.array([twin]), bar, step)


def _evaluation(plan: Plan, own: Trained, twin: Trained, at: int, bar: float, step: int) -> list[Distance]:
    ours, theirs, away = own.evaluations[at], plan.evaluations[at], twin.evaluations[at]
    made = [_number("loss", ours[0], theirs[0], away[0], bar, step)]
    for n, (a, b, c) in enumerate(zip(ours[1], theirs[1], away[1], strict=True)):
        made.append(
            _row(f"output {n}" if n else "outputs", a.reshape(b.shape), b, c.reshape(b.shape), bar, step)
        )
    return made


def frozen(
    found: Map, keras: dict[str, Held], torch: dict[str, Held], plan: Plan, own: Trained
) -> dict[str, tuple[str, str]]:
    """Arrays of both models that learn in one of them alone: Keras's name -> words and code."""
    theirs = {n.partition("/")[2]: a for n, a in load_file(plan.first).items() if n.startswith("gradients/")}
    told = {}
    for binding in found.bindings:
        ours, trains = keras[binding.keras].trains, torch[binding.torch].trains
        one, all_ = (
            (theirs.get(binding.keras), theirs) if ours else (own.gradients.get(binding.torch), own.gradients)
        )
        if ours == trains or one is None or not _counts(one, all_):
            continue
        text = f"{binding.keras} learns in {'Keras' if ours else 'PyTorch'} alone"
        code = f'model.get_parameter("{binding.torch}").requires_grad_({ours})'
        told[binding.keras] = (text, code)
    return told


def _counts(gradient: np.ndarray, every: Arrays) -> bool:
    """Whether a gradient is more than rounding."""
    largest = max((float(np.abs(a).max()) for a in every.values() if a.size), default=0.0)
    return bool(gradient.size) and float(np.abs(gradient).max()) > NOTHING * largest


def extra(found: Map, own: Trained, before: Arrays) -> dict[str, float]:
    """Arrays of PyTorch's without a partner that a step moves: name -> by how much, relative to its size."""
    moved = {}
    for one in found.left:
        gradient = own.gradients.get(one.name)
        if one.side == "torch" and gradient is not None and _counts(gradient, own.gradients):
            change = float(np.abs(own.first[one.name] - before[one.name]).max())
            size = float(np.abs(own.first[one.name]).max())
            moved[one.name] = change / max(size, change, 1e-30)
    return moved
