"""The check itself, stage by stage: a reference computes and writes, the other computes and compares itself with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from compare.frameworks import FRAMEWORKS, Framework, labels
from compare.parity import comparing, reference
from compare.parity.check import Check
from compare.parity.figures import Distance, Stage, Verdict, close, judge, worst_by_name
from compare.parity.model import Model
from compare.parity.native import EXPLAINED, explained
from compare.parity.tolerances import TWIN_FACTOR, TWIN_FLOOR, TWINS, rounding
from compare.processes.devices import Devices
from compare.processes.ends import End, Ends
from compare.processes.environment import cores

STAGES = {
    "configuration": "configuration",
    "preprocessing": "preprocessing",
    "forward": "forward, inference mode",
    "forward-batch": "forward, training mode",
    "loss": "loss",
    "gradients": "gradients",
    "optimizer": "optimizer state after the step",
    "statistics": "moving statistics after the step",
    "parameters": "parameters after the step",
    "evaluation": "evaluation after the step",
    "free": "free-running, beside the twin",
}
STEPPED = ("loss", "gradients", "optimizer", "statistics", "parameters", "evaluation")
Report = Callable[[str], None]
Evaluation = tuple[float, np.ndarray]  # loss and probabilities


class Pair(Ends):
    """Two frameworks at work, each in its own process.

    Args:
        dtype: ``float64`` or ``float32``.
        frameworks: the reference, which computes and writes, and the one that compares itself with that.
        make: makes the second one's model (tests put a mutant there).
        devices: what each computes on; None takes the CPU.
    """

    def __init__(
        self,
        dtype: str,
        frameworks: tuple[str, str] = ("keras", "torch"),
        make: Callable[[Framework], Model] = Model,
        devices: Devices | None = None,
    ) -> None:
        threads, devices = max(1, cores() // 2), devices or Devices()
        self.reference, self.other = (
            End(FRAMEWORKS[name], made, threads, dtype, devices.pinned(name, ()))
            for name, made in zip(frameworks, (Model, make), strict=True)
        )
        super().__init__(self.reference, self.other)


def run(pair: Pair, check: Check, weights: str, report: Report = lambda stage: None) -> list[Stage]:
    """Check one policy, stage by stage, in the order of the data.

    Args:
        pair: both frameworks, of the check's dtype.
        weights: a file of the backbone's arrays.
        report: is called with what is under way.
    """
    report(f"{check.policy}: configuration")
    facts = pair.both(reference.start, (check, weights), (check, weights))
    stages = [configuration(*facts, check.numerics == "native", labels(check.frameworks))]
    for training in (False, True):
        report(STAGES["forward-batch" if training else "forward"])
        stages += _forward(pair, training)
    native_facts = facts[0] if check.numerics == "native" else None
    rows, evaluations = _stepped(pair, check, report, native_facts)
    for name in STEPPED:
        if name in rows:
            stages.append(judge(Stage(name, rows=worst_by_name(rows[name])), backwards=name == "gradients"))
    # free-running, a difference feeds on itself, be it a mistake's or a default's: no twin can measure that
    if native_facts or any(stage.verdict == Verdict.DIFFERS for stage in stages):
        return follow(stages)
    report("free-running")
    stages.append(_run_free(pair, check, evaluations))
    return follow(stages)


def follow(stages: list[Stage]) -> list[Stage]:
    """Name each error once: what differs after the first stage that does follows from that one."""
    first = next((stage for stage in stages if stage.verdict == Verdict.DIFFERS), None)
    for stage in stages:
        if stage.verdict == Verdict.DIFFERS and stage is not first:
            stage.verdict = Verdict.FOLLOWS
    return stages


def configuration(
    reference: dict, other: dict, native: bool = False, called: Sequence[str] = ("Keras", "PyTorch")
) -> Stage:
    """Compare constants, layer by layer, in the reference's order.

    Args:
        native: differences that the frameworks' defaults explain don't count, but are named.
    """
    stage = Stage("configuration")
    defaults: dict[str, int] = {}
    for layer in [*reference, *(name for name in other if name not in reference)]:
        ours, theirs = reference.get(layer, {}), other.get(layer, {})
        for fact in dict.fromkeys([*ours, *theirs]):
            if close(ours.get(fact), theirs.get(fact)):
                continue
            if native and explained(layer, fact):
                defaults[fact] = defaults.get(fact, 0) + 1
                continue
            stage.verdict, stage.place = Verdict.DIFFERS, stage.place or layer
            note = f"{layer}: {fact} is {ours.get(fact)} in {called[0]} and {theirs.get(fact)} in {called[1]}"
            stage.notes.append(note)
    for fact, places in defaults.items():
        what, code = EXPLAINED[fact]
        stage.notes.append(f"{what} ({places} {'layers' if places > 1 else 'place'}). Equal with: {code}")
    if defaults and stage.verdict == Verdict.SAME:
        stage.verdict = Verdict.EXPLAINED
    return stage


def _forward(pair: Pair, training: bool) -> list[Stage]:
    """Compare every layer's output; the images that went in are a stage of their own."""
    path = pair.file("forward")
    pair.reference.call(reference.forward, training, path)
    images, *layers = pair.other.call(comparing.forward, training, path)
    stages = [] if training else [judge(Stage("preprocessing", rows=[images]))]
    return [*stages, judge(Stage("forward-batch" if training else "forward", rows=layers))]


def _stepped(
    pair: Pair, check: Check, report: Report, native: dict | None
) -> tuple[dict[str, list[Distance]], list[Evaluation]]:
    """Take the steps in Keras, and each again in PyTorch from the state that Keras was in before it.

    Args:
        native: Keras's configuration where the defaults' differences are to be taken out.

    Returns:
        The rows of all steps by stage, and what Keras evaluated to after each.
    """
    rows: dict[str, list[Distance]] = {}
    evaluations = []
    pair.reference.call(reference.save, pair.file("state0"))
    if check.facts.reestimate == "before-fit":
        rows["statistics"] = pair.other.call(comparing.statistics, pair.file("state0"))
    report(f"step 1 of {check.steps} (Keras traces its graph first)")
    pair.reference.call(reference.step, 0, pair.file("state1"))
    for number in range(check.steps):
        before, after = pair.file(f"state{number}"), pair.file(f"state{number + 1}")
        if native:
            found = _native_step(pair, number, before, after, native)
        else:
            pair.other.send(comparing.step, number, before, after)
        if number + 1 < check.steps:
            report(f"step {number + 2} of {check.steps}")
            pair.reference.call(reference.step, number + 1, pair.file(f"state{number + 2}"))
        for stage, compared in (found if native else pair.other.receive()).items():
            rows.setdefault(stage, []).extend(compared)
        evaluations.append(_evaluation(after))
        if number:
            Path(before).unlink()  # the first is where the free run starts
    return rows, evaluations


def _native_step(pair: Pair, number: int, before: str, after: str, keras: dict) -> dict[str, list[Distance]]:
    """Compare a step with what the defaults predict; Keras evaluates the state they predict."""
    predicted = pair.file("predicted")
    rows = pair.other.call(comparing.native_step, number, before, after, keras, predicted)
    loss, outputs = pair.reference.call(reference.evaluate_at, predicted, after)
    rows["evaluation"] = pair.other.call(comparing.evaluation, number, loss, outputs, after)
    return rows


def _evaluation(path: str) -> Evaluation:
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        return float(file.get_tensor("evaluation/loss")), file.get_tensor("evaluation/outputs")


def _run_free(pair: Pair, check: Check, reference: list[Evaluation]) -> Stage:
    """Let the other run free, beside a twin; beside more of them where one isn't far enough."""
    start = pair.file("state0")
    own, twins = pair.other.call(comparing.run_free, start), []
    for number in range(TWINS):
        twins.append(pair.other.call(comparing.run_free, start, number))
        stage = free(check, reference, own, twins)
        if stage.verdict == Verdict.SAME:
            break
    return stage


def free(
    check: Check, reference: list[Evaluation], own: list[Evaluation], twins: list[list[Evaluation]]
) -> Stage:
    """Compare the frameworks' distance with that of twins that started one rounding away, step by step.

    The twins' is the largest so far: two runs that have parted may cross again for a step, by chance.
    """
    stage = Stage("free")
    apart, floor = 0.0, TWIN_FLOOR * rounding(check.dtype)
    for at, (theirs, ours) in enumerate(zip(reference, own, strict=True)):
        apart = max([apart, *(_distance(twin[at], ours) for twin in twins)])
        distance, bar = _distance(ours, theirs), max(TWIN_FACTOR * apart, floor)
        ulp = distance / rounding(check.dtype)
        name, figures = f"step {at + 1}", (distance, distance, distance, 1.0, 1.0, bar, ulp)
        row = Distance(name, *figures, step=at + 1, note=f"twin {apart:.1e}", twin=apart)
        stage.rows.append(row)
    return judge(stage)


def _distance(a: Evaluation, b: Evaluation) -> float:
    """The larger of the relative distances of losses and of probabilities; relative to the larger of the two."""
    parts = [(np.asarray(one), np.asarray(other)) for one, other in zip(a, b, strict=True)]
    apart = [(np.abs(one - other).max(), max(np.abs(one).max(), np.abs(other).max())) for one, other in parts]
    # equal ones may be zero: a sure network's probabilities are
    return float(
        np.max([0.0 if distance == 0 else distance / size for distance, size in apart])
    )  # NaN stays NaN
