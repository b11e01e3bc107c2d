"""The check of a pair from start to end: both models in their own processes, stage after stage, to a verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from compare.frameworks import FRAMEWORKS
from compare.pair import inputs, mapfile, side
from compare.pair.configuration import Fact
from compare.pair.locate import Departure, Found
from compare.pair.mapping import Map
from compare.pair.references import Reference
from compare.pair.training import Plan
from compare.parity.figures import Distance, Stage, Verdict, judge, worst_by_name
from compare.processes.worker import Kept, Worker

Report = Callable[[str], None]
DEFAULT_OPTIMIZER = {"kind": "adam", "learning_rate": 1e-3}
STAGES = {
    "configuration": "configuration",
    "forward": "forward, inference mode",
    "forward-batch": "forward, training mode",
    "loss": "loss",
    "gradients": "gradients",
    "statistics": "moving statistics after the step",
    "parameters": "parameters after the step",
    "evaluation": "evaluation after the step",
    "free": "free-running, beside the twin",
}


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Attributes:
        source: whose weights both get, ``keras`` or ``torch``.
        shape: ``--input``; None takes what the Keras model says.
        loss, optimizer: names; None takes what the models have.
    """

    keras: Reference
    torch: Reference
    source: str = "keras"
    map: Path | None = None
    shape: str | None = None
    loss: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    steps: int = 10
    dtype: str = "float64"
    numerics: str = "native"
    seed: int = 0


@dataclass
class Outcome:
    """What the check came to.

    Attributes:
        verdict: ``same``, ``differs`` or ``unmapped``.
        first: the first departure, as JSON has it.
    """

    verdict: str
    map: Map
    stages: list[Stage] = field(default_factory=list)
    first: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    native: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    peak_memory: int = 0


class End:
    """A process with a side in it, which is asked one thing at a time."""

    def __init__(self, framework: str, dtype: str, threads: int) -> None:
        self.worker = Worker(FRAMEWORKS[framework], threads, dtype)
        self.side: Kept | None = None
        self.framework, self.dtype = framework, dtype

    def send(self, request: str, *arguments: Any) -> None:
        """Ask for something; `receive` waits for it."""
        if self.side is None:
            self.side = self.worker.keep(side.make, self.framework, self.dtype)
        self.worker.send(side.call, self.side, request, arguments)

    def receive(self) -> Any:
        """Wait for the answer."""
        return self.worker.receive()


class Pair:
    """Both models in their processes, with a folder for the files between them."""

    def __init__(self, dtype: str, threads: int = 1) -> None:
        self.dtype, self.threads = dtype, threads

    def __enter__(self) -> Pair:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-pair-")))
            self.keras, self.torch = (End(name, self.dtype, self.threads) for name in ("keras", "torch"))
            for end in (self.keras, self.torch):
                stack.callback(end.worker.stop)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def both(self, request: str, ours: tuple, theirs: tuple) -> tuple[Any, Any]:
        """Ask both at the same time."""
        self.keras.send(request, *ours)
        self.torch.send(request, *theirs)
        return self.keras.receive(), self.torch.receive()

    def file(self, name: str) -> str:
        """The path of a file between the two."""
        return str(self.folder / f"{name}.safetensors")


def ask(end: End, request: str, *arguments: Any) -> Any:
    """Ask one of the two, and wait."""
    end.send(request, *arguments)
    return end.receive()


@dataclass
class Met:
    """Both models loaded, and the map between them.

    Attributes:
        wanted: what an input is: shape, integers, below what.
        facts: what the two say of themselves.
    """

    map: Map
    inputs: list[np.ndarray]
    wanted: list
    facts: tuple[dict, dict]
    arrangement: tuple[str, ...]


def meet(pair: Pair, asked: Asked, report: Report) -> Met:
    """Load both models and find the map.

    Raises:
        InputError: a model can't be had or run.
    """
    report("loading both models")
    facts = pair.both("open", (asked.keras.text,), (asked.torch.text,))
    wanted = inputs.shapes(asked.shape, facts[0]["inputs"])
    batch = inputs.draw(wanted, asked.seed, 0, asked.dtype)
    report("looking at the Keras model")
    record = ask(pair.keras, "observe", batch, False, pair.file("values"))
    whole = inputs.integers(wanted, record) if not facts[0]["inputs"] else wanted
    if whole != wanted:
        wanted, batch = whole, inputs.draw(whole, asked.seed, 0, asked.dtype)
        record = ask(pair.keras, "observe", batch, False, pair.file("values"))
    ask(pair.keras, "arrays", pair.file("arrays"))
    held = ask(pair.keras, "held")
    report("finding the map")
    given = mapfile.read(asked.map) if asked.map is not None else {}
    met = ask(pair.torch, "meet", record, pair.file("values"), pair.file("arrays"), held, batch, given)
    if asked.source == "torch":
        report("moving PyTorch's weights into the Keras model")
        ask(pair.torch, "for_keras", pair.file("arrays"))
        ask(pair.keras, "assign", pair.file("arrays"))
        record = ask(pair.keras, "observe", batch, False, pair.file("values"))
        ask(pair.keras, "arrays", pair.file("arrays"))
        ask(pair.torch, "adopt", record, pair.file("values"), pair.file("arrays"))
    return Met(met["map"], batch, wanted, facts, met["arrangement"])


def prove(asked: Asked, report: Report = lambda line: None) -> Outcome:
    """Check a pair.

    Raises:
        InputError: what was asked for can't be had.
    """
    with Pair(asked.dtype) as pair:
        met = meet(pair, asked, report)
        outcome = check(pair, asked, met, report)
        outcome.versions = {
            **ask(pair.keras, "versions"),
            **ask(pair.torch, "versions"),
            "numpy": np.__version__,
        }
        outcome.peak_memory = ask(pair.keras, "peak_memory") + ask(pair.torch, "peak_memory")
    return outcome


def check(pair: Pair, asked: Asked, met: Met, report: Report) -> Outcome:
    """All stages, until one differs."""
    if met.map.undecided:
        return Outcome("unmapped", met.map)
    ends = ask(pair.torch, "ends")
    outcome = Outcome("same", met.map, notes=list(ends["notes"]))
    if any(how == "first" for how, x in zip(met.arrangement, met.inputs, strict=True) if x.ndim == 3):
        outcome.notes.append("3-d inputs go to PyTorch as (N, C, T)")
    settings = _settings(asked, met, outcome)
    report("comparing configurations")
    decayed = ask(pair.keras, "decayed")
    optimizers = (met.facts[0]["optimizer"], met.facts[1]["optimizer"])
    facts = ask(pair.torch, "configuration", decayed, ask(pair.keras, "added"), optimizers)
    found = _forward(pair, met, ends, False, outcome, report, facts)
    if outcome.first is None:
        found = _forward(pair, met, ends, True, outcome, report, [])
    if outcome.first is None:
        _train(pair, asked, met, ends, settings, found, outcome, report)
    outcome.verdict = "same" if outcome.first is None else "differs"
    return outcome


def _forward(
    pair: Pair, met: Met, ends: dict, training: bool, outcome: Outcome, report: Report, facts: list[Fact]
) -> Found:
    """Compare a pass of both; in inference mode the settings with it."""
    name = "forward-batch" if training else "forward"
    report(STAGES[name])
    record: tuple = ()
    if training:
        path = pair.file("training")
        seen = ask(pair.keras, "observe", met.inputs, True, path)
        record = (seen, path)
    found: Found = ask(pair.torch, "forward", met.inputs, ends["targets"], *record)
    if not training:
        outcome.stages.append(_configured(facts, found, outcome))
    outcome.notes += [f"rounded to float32 on both sides: {text}" for text in dict.fromkeys(found.rounded)]
    stage = Stage(name, rows=found.rows)
    departure = found.departure
    if departure is not None:
        stage.verdict, stage.place = Verdict.DIFFERS, departure.call.owner
        if outcome.first is None:
            outcome.first = _departed(name, found)
    outcome.stages.append(stage)
    return found


def _configured(facts: list[Fact], found: Found, outcome: Outcome) -> Stage:
    """The settings as a stage; one that the forward pass shows too is that pass's first difference."""
    stage = Stage("configuration", notes=[f"{fact.keras}: {fact.text}" for fact in facts])
    if not facts:
        return stage
    stage.verdict = Verdict.DIFFERS
    departure = found.departure
    shown = next((f for f in facts if departure is not None and _is(f, departure)), None)
    fact = shown or facts[0]
    tried = departure.tried if departure is not None and shown else []
    stage.place = fact.keras
    if departure is not None and not shown and departure.call.index < fact.order:
        return stage  # the passes part before that
    outcome.first = {
        "stage": "configuration", "keras": fact.keras, "torch": fact.torch, "cause": fact.cause,
        "figure": _finite(departure.apart) if departure is not None and shown else None, "bar": 0.0, "tried": tried,
        "text": fact.text, "code": fact.code,
    }  # fmt: skip
    return stage


def _is(fact: Fact, departure: Departure) -> bool:
    """Whether a setting is what makes the passes part."""
    found = departure.trial.cause if departure.trial is not None else fact.cause
    return fact.keras == departure.call.owner and fact.cause == found


def _departed(stage: str, found: Found) -> dict[str, Any]:
    departure = found.departure
    assert departure is not None
    trial = departure.trial
    return {
        "stage": stage,
        "keras": trial.keras if trial and trial.keras else departure.call.owner,
        "torch": departure.torch,
        "cause": trial.cause if trial else "unknown",
        "figure": _finite(departure.apart),
        "bar": departure.bar,
        "tried": departure.tried,
        "text": trial.text if trial else "nothing that was tried makes the difference go away",
        "code": trial.code if trial else "",
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _settings(asked: Asked, met: Met, outcome: Outcome) -> dict[str, Any]:
    """The optimizer that both take."""
    ours, theirs = met.facts[0]["optimizer"], met.facts[1]["optimizer"]
    if asked.optimizer is not None:
        outcome.notes.append(f"both take {asked.optimizer}; the models' own optimizers are not compared")
        return {"kind": asked.optimizer, "learning_rate": asked.learning_rate or 1e-3}
    if ours and theirs and ours["kind"] in ("adam", "adamw", "sgd", "rmsprop"):
        more = ", ".join(ours.get("more", []))
        if more:
            outcome.notes.append(f"not compared, as PyTorch has it in the training loop: Keras's {more}")
        return dict(ours)
    outcome.notes.append("optimizers are not compared: both take Adam")
    return {**DEFAULT_OPTIMIZER, "learning_rate": asked.learning_rate or 1e-3}


def _loss(asked: Asked, met: Met, ends: dict, outcome: Outcome) -> dict[str, Any]:
    """The loss: what was asked for, what the Keras model is compiled with, or what its output's activation suggests."""
    given = met.facts[0]["loss"]
    kinds = {"softmax": "crossentropy", "sigmoid": "binary"}
    if asked.loss is not None:
        given = {"kind": asked.loss, "logits": True, "smoothing": 0.0}
    elif given is None:
        given = {"kind": kinds.get((ends["kinds"] or [""])[0], "mse"), "logits": False, "smoothing": 0.0}
        outcome.notes.append(f"loss: {given['kind']}, by the output's activation")
    return {**given, "logits": bool(ends["keras"]) or given["logits"]}


def _train(
    pair: Pair,
    asked: Asked,
    met: Met,
    ends: dict,
    settings: dict,
    found: Found,
    outcome: Outcome,
    report: Report,
) -> None:
    """Take the steps in Keras, then in PyTorch, and compare."""
    loss = _loss(asked, met, ends, outcome)
    shapes = [found.outputs[name] for name in ends["targets"]]
    batches = [inputs.draw(met.wanted, asked.seed, n, asked.dtype) for n in range(asked.steps + 1)]
    goals = [inputs.targets(shapes, loss["kind"], asked.seed, n, asked.dtype) for n in range(asked.steps + 1)]
    ask(pair.keras, "begin", settings, loss, ends["keras"])
    plan = Plan(batches, goals, [], [], pair.file("first"), pair.file("last"))
    for number in range(asked.steps):
        report(f"step {number + 1} of {asked.steps} in Keras")
        path = plan.first if number == 0 else plan.last
        total, penalty = ask(pair.keras, "step", batches[number], goals[number], path)
        plan.losses.append(total - penalty)
        if number == 0:
            plan.evaluations.append(ask(pair.keras, "evaluate", batches[-1], goals[-1]))
    if asked.steps == 1:
        plan.last = plan.first
    plan.evaluations.append(ask(pair.keras, "evaluate", batches[-1], goals[-1]))
    ask(pair.keras, "put_back")
    report("the same steps in PyTorch, and in a twin")
    settings = {**settings, "coupled": ask(pair.torch, "coupled", ask(pair.keras, "penalties"))}
    done = ask(pair.torch, "train", plan, settings, loss, ends["torch"], found.edits, found.axes)
    _stages(done, met, outcome)


def _stages(done: dict, met: Met, outcome: Outcome) -> None:
    places = {binding.keras: binding for binding in met.map.bindings}
    for name, rows in done["rows"].items():
        stage = judge(Stage(name, rows=worst_by_name(rows)), backwards=name == "gradients")
        stage.verdict = Verdict.SAME if stage.verdict == Verdict.EXPLAINED else stage.verdict
        if name == "parameters" and done["extra"]:
            _extra(done["extra"], met, outcome, stage)
        elif stage.verdict == Verdict.DIFFERS and outcome.first is None:
            row = next(row for row in stage.rows if row.name == stage.place)
            binding = places.get(stage.place)
            cause, text, code = done["frozen"].get(stage.place, ("unknown", "", ""))
            outcome.first = {
                "stage": name,
                "keras": binding.keras_place if binding else "",
                "torch": binding.torch_place if binding else "",
                "cause": cause, "figure": _finite(row.relative), "bar": row.bar, "tried": [],
                "text": text or f"{stage.place} differs after the step", "code": code,
            }  # fmt: skip
        elif stage.verdict == Verdict.DIFFERS:
            stage.verdict = Verdict.FOLLOWS
        outcome.stages.append(stage)
    if any(binding.role == "variance" for binding in met.map.bindings):
        outcome.native.append("PyTorch's moving variance takes in the batch's divided by n - 1, Keras's by n")
    outcome.native.append("each framework's optimizer has its own formula; both steps are Keras's")


def _extra(moved: dict[str, float], met: Met, outcome: Outcome, stage: Stage) -> None:
    """Arrays that only PyTorch's model has, and that learn."""
    for name, relative in moved.items():
        left = next(one for one in met.map.left if one.name == name)
        row = Distance(
            name, relative, relative, relative, 0.0, 0.0, 0.0, 0.0, step=1, note="without a partner"
        )
        stage.rows.append(row)
        stage.verdict, stage.place = Verdict.DIFFERS, stage.place or name
        if outcome.first is None:
            outcome.first = {
                "stage": "parameters", "keras": left.keras_place, "torch": name,
                "cause": left.cause or "extra-parameter",
                "figure": _finite(relative), "bar": 0.0, "tried": [left.cause or "extra-parameter"],
                "text": f"{name} has no partner ({left.reason}) and learns",
                "code": f'model.get_parameter("{name}").requires_grad_(False)',
            }  # fmt: skip
