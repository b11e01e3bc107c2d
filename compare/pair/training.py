"""The same steps in both: loss, gradients, moving statistics, parameters, evaluation, and a twin one rounding away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from compare.pair.arrays import Map, to_keras
from compare.pair.records import Arrays, Held
from compare.parity.figures import Distance, compare
from compare.parity.formulas import batch_of
from compare.parity.tolerances import TOLERANCES, twin_factor

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
    plan: Plan, own: Trained, twins: list[Trained], found: Map, held: dict[str, Held], dtype: str
) -> dict[str, list[Distance]]:
    """Compare a run with Keras's, stage by stage.

    Args:
        twins: the same run from weights one rounding away, each another way: how far a rounding carries.
        held: what is known of Keras's arrays.
    """
    keras = load_file(plan.first)
    gradients = {n.partition("/")[2]: a for n, a in keras.items() if n.startswith("gradients/")}
    first = {n.partition("/")[2]: a for n, a in keras.items() if n.startswith("arrays/")}
    last = {n.partition("/")[2]: a for n, a in load_file(plan.last).items() if n.startswith("arrays/")}
    bound = {binding.keras for binding in found.bindings}
    stages: dict[str, list[Distance]] = {
        "loss": [_number("loss", own.losses[0], plan.losses[0], [t.losses[0] for t in twins], "loss", dtype)],
        "gradients": _gradients(gradients, own, twins, found, bound, dtype),
        "statistics": [],
        "parameters": [],
    }
    ends = ((first, own.first, [t.first for t in twins]), (last, own.last, [t.last for t in twins]))
    for step, (theirs, ours, others) in enumerate(ends, 1):
        number = 1 if step == 1 else len(plan.losses)
        back = to_keras(found, ours, theirs)
        away = [to_keras(found, one, theirs) for one in others]
        for name, array in theirs.items():
            if name in bound:
                stage = "parameters" if held[name].trains or not _moves(name) else "statistics"
                moved = [one[name] for one in away]
                scale = _spread(name, theirs)
                stages[stage].append(_row(name, back[name], array, moved, stage, dtype, number, scale))
        if len(plan.losses) == 1:
            break
    stages["evaluation"] = _evaluation(plan, own, twins, 0, dtype, 1)
    stages["free"] = [
        _number(f"step {n}", a, b, [t.losses[n - 1] for t in twins], "evaluation", dtype, n)
        for n, (a, b) in enumerate(zip(own.losses, plan.losses, strict=True), 1)
    ]
    stages["free"] += _evaluation(plan, own, twins, -1, dtype, len(plan.losses))
    return stages


def departing(plan: Plan, gradients: Arrays, judged: list[Distance], found: Map) -> set[str]:
    """Keras's arrays whose gradient in the first step these aren't.

    Args:
        judged: the run's own gradients beside Keras's, with their bars.
    """
    theirs = {n.partition("/")[2]: a for n, a in load_file(plan.first).items() if n.startswith("gradients/")}
    ours = to_keras(found, gradients, theirs, total=True)
    again = [compare(row.name, ours[row.name], theirs[row.name], row.bar, row.scale) for row in judged]
    return {row.name for row in again if not row.same}


def _moves(name: str) -> bool:
    return name.endswith(("/moving_mean", "/moving_variance"))


def _spread(name: str, arrays: Arrays) -> float | None:
    """What a moving mean's difference is relative to: its largest value or standard deviation; None for other arrays.

    A mean is nearly zero where the data's are. And it holds the bias that stands before the normalisation, whose
    gradient is nothing but rounding: each framework's Adam makes steps of its own of that.
    """
    variance = arrays.get(name.replace("/moving_mean", "/moving_variance"))
    if not name.endswith("/moving_mean") or variance is None or not variance.size:
        return None
    return max(float(np.abs(arrays[name]).max()), float(np.sqrt(np.abs(variance).max())))


def _gradients(
    theirs: Arrays, own: Trained, twins: list[Trained], found: Map, bound: set[str], dtype: str
) -> list[Distance]:
    ours = to_keras(found, own.gradients, theirs, total=True)
    away = [to_keras(found, twin.gradients, theirs, total=True) for twin in twins]
    largest = max((float(np.abs(a).max()) for a in theirs.values() if a.size), default=0.0)
    made = []
    for name, array in theirs.items():
        if name in bound:
            scale = max(float(np.abs(array).max()), FLOOR * largest)
            moved = [one[name] for one in away]
            made.append(_row(name, ours[name], array, moved, "gradients", dtype, 1, scale))
    return made


def _row(
    name: str,
    own: np.ndarray,
    reference: np.ndarray,
    twins: list[np.ndarray],
    stage: str,
    dtype: str,
    step: int,
    scale: float | None = None,
) -> Distance:
    """Compare an array with Keras's; its bar is raised to what its twins show that rounding can do there."""
    bar, factor = TOLERANCES[stage].bar(dtype), twin_factor(stage)
    carried = [compare(name, twin, own, bar, scale).relative for twin in twins]
    furthest = max((apart for apart in carried if np.isfinite(apart)), default=0.0)
    row = compare(name, own, reference, max(bar, factor * furthest), scale, step)
    row.note = f"twin {furthest:.1e}"
    return row


def _number(
    name: str, own: float, reference: float, twins: list[float], stage: str, dtype: str, step: int = 1
) -> Distance:
    away = [np.array([twin]) for twin in twins]
    return _row(name, np.array([own]), np.array([reference]), away, stage, dtype, step)


def _evaluation(
    plan: Plan, own: Trained, twins: list[Trained], at: int, dtype: str, step: int
) -> list[Distance]:
    ours, theirs, away = own.evaluations[at], plan.evaluations[at], [t.evaluations[at] for t in twins]
    made = [_number("loss", ours[0], theirs[0], [one[0] for one in away], "evaluation", dtype, step)]
    for n, (a, b) in enumerate(zip(ours[1], theirs[1], strict=True)):
        moved = [one[1][n].reshape(b.shape) for one in away]
        name = f"output {n}" if n else "outputs"
        made.append(_row(name, a.reshape(b.shape), b, moved, "evaluation", dtype, step))
    return made


def frozen(
    found: Map, keras: dict[str, Held], torch: dict[str, Held], plan: Plan, own: Trained
) -> dict[str, tuple[str, str]]:
    """Arrays of both models that learn in one of them alone: Keras's name -> words and code."""
    theirs = {n.partition("/")[2]: a for n, a in load_file(plan.first).items() if n.startswith("gradients/")}
    told: dict[str, tuple[str, str]] = {}
    for binding in found.bindings:
        ours, trains = keras[binding.keras].trains, torch[binding.torch].trains
        here, there = theirs.get(binding.keras), own.gradients.get(binding.torch)
        if ours and trains and binding.part is None:
            lost = _lost(binding.keras, here, there, (theirs, own.gradients))
            told |= {binding.keras: lost} if lost else {}
        one, all_ = (here, theirs) if ours else (there, own.gradients)
        if ours == trains or one is None or not _counts(one, all_):
            continue
        text = f"{binding.keras} learns in {'Keras' if ours else 'PyTorch'} alone"
        code = f'model.get_parameter("{binding.torch}").requires_grad_({ours})'
        told[binding.keras] = (text, code)
    return told


def _lost(
    name: str, here: np.ndarray | None, there: np.ndarray | None, every: tuple[Arrays, Arrays]
) -> tuple[str, str] | None:
    """Words and code for an array that no gradient reaches in one of the models, though it trains in both."""
    if here is None or there is None or bool(here.any()) == bool(there.any()):
        return None
    if here.any() and _counts(here, every[0]):
        text = f"no gradient reaches {name} in PyTorch: something on the way detaches it"
        return text, "# without detach(), .data or torch.no_grad() between it and the loss"
    if there.any() and _counts(there, every[1]):
        text = f"no gradient reaches {name} in Keras: something on the way stops it"
        return text, "x = x.detach()  # where Keras has stop_gradient"
    return None


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


def kept(found: Map, before: Arrays, own: Trained, plan: Plan) -> dict[str, tuple[str, str, str]]:
    """Moving statistics that PyTorch moves by another rule, as they are after the step: cause, words and code.

    Args:
        before: Keras's arrays before the step.
    """
    after = {n.partition("/")[2]: a for n, a in load_file(plan.first).items() if n.startswith("arrays/")}
    back = to_keras(found, own.first, after)
    told = {}
    for pair in found.pairs:
        decay = pair.keras.facts.get("decay")
        names = {
            role: pair.keras.slots[role].name for role in ("mean", "variance") if role in pair.keras.slots
        }
        if not isinstance(decay, float) or not 0 < decay < 1:
            continue
        for role, name in names.items():
            batch = batch_of(before[name], after[name], decay)
            shares = _shares(back[name], before[name], batch, role == "variance")
            place = pair.torch.place or "its forward"
            if shares is not None and not np.isclose(shares[0], decay, rtol=1e-6, atol=1e-9):
                text = f"Keras keeps {decay:g} of the moving statistics, PyTorch {shares[0]:.6g}"
                told[name] = ("decay", text, f"# keep {decay:g} of the moving {role}, in {place}")
            elif shares is not None and not np.isclose(shares[1], 1 - decay, rtol=1e-6):
                text = f"PyTorch's moving variance takes in {shares[1] / (1 - decay):.6g} times the batch's biased one"
                told[name] = ("variance-rule", text, f"x.var(..., unbiased=False)  # in {place}")
    return told


def _shares(array: np.ndarray, old: np.ndarray, batch: np.ndarray, free: bool) -> tuple[float, float] | None:
    """How much of the old value and of the batch's an array holds; None where it is no such sum.

    Args:
        free: whether the two needn't add up to one.
    """
    a, x, y = (one.astype(np.float64).reshape(-1) for one in (array, old, batch))
    if free and a.size > 2:
        (first, second), *_ = np.linalg.lstsq(np.stack([x, y], 1), a, rcond=None)
    else:
        size = float(np.vdot(x - y, x - y))
        first = float(np.vdot(x - y, a - y)) / size if size else 1.0
        second = 1 - first
    fits = np.allclose(first * x + second * y, a, rtol=1e-6, atol=1e-9 * float(np.abs(a).max(initial=0.0)))
    return (float(first), float(second)) if fits else None
