"""The check of a pair from start to end: stage after stage, to a verdict."""

from __future__ import annotations

from typing import Any

from compare.pair import data, inputs
from compare.pair.arrays import Binding
from compare.pair.asked import STAGES, Asked, First, Outcome, Report
from compare.pair.configuration import Fact
from compare.pair.cutting import Cut
from compare.pair.ends import Pair
from compare.pair.kernels import in_its_dtype
from compare.pair.locate import Departure, Found
from compare.pair.meeting import Met, meet
from compare.pair.optimizing import Told
from compare.pair.training import Plan
from compare.parity.figures import Distance, Stage, Verdict, judge, worst_by_name

MATCHED = (
    "PyTorch computes as Keras does: the moving variance takes in the biased one, the optimizer is Keras's"
)
TRAINED = ("adam", "adamw", "sgd", "rmsprop", "adagrad")  # both take steps with these as a person set them
DEFAULT_OPTIMIZER = {"kind": "adam", "learning_rate": 1e-3}


def prove(asked: Asked, report: Report = lambda line: None) -> Outcome:
    """Check a pair.

    Raises:
        InputError: what was asked for can't be had.
    """
    return in_its_dtype(asked, lambda asked, notes: _proved(asked, report, notes))


def _proved(asked: Asked, report: Report, notes: list[str]) -> Outcome:
    with Pair(asked.dtype) as pair:
        met = meet(pair, asked, report)
        outcome = check(pair, asked, met, report)
        outcome.notes += notes
        outcome.versions, outcome.peak_memory = pair.versions(), pair.peak_memory()
    return outcome


def check(pair: Pair, asked: Asked, met: Met, report: Report) -> Outcome:
    """All stages, until one differs."""
    if met.map.undecided:
        return Outcome("unmapped", met.map, dtype=asked.dtype)
    ends = pair.torch.call("ends")
    outcome = Outcome("same", met.map, notes=list(ends["notes"]), dtype=asked.dtype)
    if any(how == "first" for how, x in zip(met.arrangement, met.inputs, strict=True) if x.ndim == 3):
        outcome.notes.append("3-d inputs go to PyTorch as (N, C, T)")
    settings = _settings(asked, met, outcome)
    report("comparing configurations")
    told = Told(*(pair.keras.call(name) for name in ("decayed", "added", "constrained")))
    optimizers = (met.facts[0]["optimizer"], met.facts[1]["optimizer"])
    facts = pair.torch.call("configuration", told, optimizers)
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
        seen = pair.keras.call("observe", met.inputs, True, path)
        record = (seen, path)
    found: Found = pair.torch.call("forward", met.inputs, ends["targets"], *record)
    if not training:
        outcome.stages.append(_configured(facts, found, outcome))
    outcome.notes += [f"rounded to float32 on both sides: {text}" for text in dict.fromkeys(found.rounded)]
    stage = Stage(name, rows=found.rows)
    departure = found.departure
    if departure is not None:
        stage.verdict, stage.place = Verdict.DIFFERS, departure.call.owner
        outcome.parts(_departed(name, departure))
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
    more = sum(one.cause == fact.cause and one.text == fact.text for one in facts) - 1
    tried = departure.tried if departure is not None and shown else []
    stage.place = fact.keras
    if departure is not None and not shown and departure.call.index < fact.order:
        return stage  # the passes part before that
    figure = departure.apart if departure is not None and shown else None
    text = f"{fact.text}, here and in {more} more" if more else fact.text
    outcome.parts(
        First("configuration", fact.keras, fact.torch, fact.cause, figure, 0.0, tried, text, fact.code)
    )
    return stage


def _is(fact: Fact, departure: Departure) -> bool:
    """Whether a setting is what makes the passes part."""
    found = departure.trial.cause if departure.trial is not None else fact.cause
    return fact.keras == departure.call.owner and fact.cause == found


def _departed(stage: str, departure: Departure) -> First:
    trial, owner, torch = departure.trial, departure.call.owner, departure.torch
    measured = (departure.apart, departure.bar, departure.tried)
    if trial is None:
        nothing = "nothing that was tried makes the difference go away"
        return First(stage, owner, torch, "unknown", *measured, nothing, "")
    return First(stage, trial.keras or owner, torch, trial.cause, *measured, trial.text, trial.code)


def _settings(asked: Asked, met: Met, outcome: Outcome) -> dict[str, Any]:
    """The optimizer that both take."""
    ours, theirs = met.facts[0]["optimizer"], met.facts[1]["optimizer"]
    if asked.optimizer is not None:
        outcome.notes.append(f"both take {asked.optimizer}; the models' own optimizers are not compared")
        return {"kind": asked.optimizer, "learning_rate": asked.learning_rate or 1e-3}
    if ours and theirs and ours["kind"] in TRAINED:
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
    batches, goals = _batches(asked, met, shapes, loss["kind"])
    pair.keras.call("begin", settings, loss, ends["keras"])
    plan = Plan(batches, goals, [], [], pair.file("first"), pair.file("last"))
    for number in range(asked.steps):
        report(f"step {number + 1} of {asked.steps} in Keras")
        # arrays as large as both models are only written where they are compared
        path = plan.first if number == 0 else plan.last if number == asked.steps - 1 else ""
        total, penalty = pair.keras.call("step", batches[number], goals[number], path)
        plan.losses.append(total - penalty)
        if number == 0:
            plan.evaluations.append(pair.keras.call("evaluate", batches[-1], goals[-1]))
    if asked.steps == 1:
        plan.last = plan.first
    plan.evaluations.append(pair.keras.call("evaluate", batches[-1], goals[-1]))
    pair.keras.call("put_back")
    report("the same steps in PyTorch, and in a twin")
    coupled = pair.torch.call("coupled", pair.keras.call("penalties"))
    settings = {**settings, "coupled": coupled, "rounds": pair.keras.framework.backend == "tensorflow"}
    told = (loss, ends["torch"], found.edits, found.axes, asked.numerics)
    done = pair.torch.call("train", plan, settings, *told)
    if asked.numerics == "matched":
        outcome.notes.append(MATCHED)
    _stages(done, met, outcome)


def _batches(asked: Asked, met: Met, shapes: list, kind: str) -> tuple[list, list]:
    """A batch for each step and one to evaluate, with their targets: a person's own, or random ones."""
    if met.batches:
        return met.batches, [data.targets(given, shapes, kind, asked.dtype) for given in met.targets]
    numbers = range(asked.steps + 1)
    return (
        [inputs.draw(met.wanted, asked.seed, n, asked.dtype) for n in numbers],
        [inputs.targets(shapes, kind, asked.seed, n, asked.dtype) for n in numbers],
    )


def _stages(done: dict, met: Met, outcome: Outcome) -> None:
    places = {binding.keras: binding for binding in met.map.bindings}
    for name, rows in done["rows"].items():
        stage = judge(Stage(name, rows=worst_by_name(rows)), backwards=name == "gradients")
        if stage.verdict == Verdict.EXPLAINED and name != "native":
            stage.verdict = Verdict.SAME
        if name == "gradients" and stage.verdict == Verdict.DIFFERS and done["cut"] is not None:
            _cut(done["cut"], outcome, stage)
        elif name == "gradients" and stage.place in done["frozen"]:
            _frozen(done["frozen"], places, outcome, stage)
        elif name == "parameters" and (done["extra"] or done["frozen"]):
            _frozen(done["frozen"], places, outcome, stage)
            _extra(done["extra"], done["owners"], met, outcome, stage)
        elif stage.verdict == Verdict.DIFFERS and outcome.first is None:
            outcome.parts(_after_step(stage, places.get(stage.place), done["kept"]))
        elif stage.verdict == Verdict.DIFFERS:
            stage.verdict = Verdict.FOLLOWS
        outcome.stages.append(stage)
    outcome.native = done["native"]


def _after_step(stage: Stage, binding: Binding | None, kept: dict[str, tuple[str, str, str]]) -> First:
    """The worst array of a stage behind the step; of what a layer keeps its cause may be known."""
    row = next(row for row in stage.rows if row.name == stage.place)
    keras, torch = (binding.keras_place, binding.torch_place) if binding else ("", "")
    cause, text, code = kept.get(stage.place, ("unknown", f"{stage.place} differs after the step", ""))
    tried = [] if cause == "unknown" else [cause]
    return First(stage.name, keras, torch, cause, row.relative, row.bar, tried, text, code)


def _frozen(alone: dict[str, tuple[str, str]], places: dict, outcome: Outcome, stage: Stage) -> None:
    """Arrays of both models that learn in one alone."""
    for name, (text, code) in alone.items():
        row = next((row for row in stage.rows if row.name == name), None)
        stage.verdict, stage.place = Verdict.DIFFERS, stage.place or name
        figure, cause = None if row is None else row.relative, "extra-parameter"
        keras, torch = places[name].keras_place, places[name].torch_place
        outcome.parts(First(stage.name, keras, torch, cause, figure, 0.0, [cause], text, code))


def _cut(cut: Cut, outcome: Outcome, stage: Stage) -> None:
    """A gradient that ends in one of the models alone."""
    row = next(row for row in stage.rows if row.name == stage.place)
    cause = "extra-parameter"
    outcome.parts(
        First(stage.name, cut.keras, cut.torch, cause, row.relative, row.bar, [cause], cut.text, cut.code)
    )


def _extra(moved: dict[str, float], owners: dict[str, str], met: Met, outcome: Outcome, stage: Stage) -> None:
    """Arrays that only PyTorch's model has, and that learn."""
    for name, relative in moved.items():
        left = next(one for one in met.map.left if one.name == name)
        row = Distance(
            name, relative, relative, relative, 0.0, 0.0, 0.0, 0.0, step=1, note="without a partner"
        )
        stage.rows.append(row)
        stage.verdict, stage.place = Verdict.DIFFERS, stage.place or name
        keras, cause = left.keras_place or owners.get(name, ""), left.cause or "extra-parameter"
        text = f"{name} has no partner ({left.reason}) and learns"
        code = f'model.get_parameter("{name}").requires_grad_(False)'
        told = "bias" if cause == "bias" else "extra-parameter"
        outcome.parts(First("parameters", keras, name, told, relative, 0.0, [cause], text, code))
