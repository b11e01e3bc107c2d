"""`diagnose` and `audit`: one person's model, one answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite, isnan
from numbers import Integral
from typing import Any

from compare.diagnosis import elsewhere, modes, reporting, resolving, stored, switching, terms
from compare.diagnosis.asked import asked
from compare.diagnosis.case import Case
from compare.diagnosis.case import loss as loss_of
from compare.diagnosis.cures import cure
from compare.diagnosis.data import Data, Passes, batch_size_of
from compare.diagnosis.frameworks import own_data, side_of
from compare.diagnosis.measuring import Measured, measure
from compare.diagnosis.records import Audit, AuditRow, Diagnosis, Finding, Probes
from compare.diagnosis.reported import read
from compare.diagnosis.side import Layer, Subject
from compare.spec import InputError

# what makes the figures themselves unreliable comes first, whatever the terms say
FIRST = ("mode-override", "random-evaluation", "evaluation-changes-state", "mode-in-evaluation")


def diagnose(
    model: Any,
    data: Any = None,
    *,
    loss: Callable[..., Any] | None = None,
    step: Callable[..., Any] | None = None,
    metrics: dict[str, Callable[..., Any]] | None = None,
    evaluate_data: Any = None,
    reported: Any = None,
    steps: int | None = None,
    limit: int = 320,
    batch_size: int | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Say why ``fit`` and ``evaluate`` part for a model. The model is left exactly as it was, whatever happens.

    Args:
        model: a ``keras.Model``, an ``nn.Module``, a LightningModule, a trainer of Lightning or Hugging Face.
        data: what ``fit`` sees: arrays ``(x, y)`` or ``(x, y, weights)``, a dictionary of arrays, anything of batches
            that can be iterated again, or a function that returns one. A trainer's own where it is left out.
        loss: ``loss(outputs, targets)``, for PyTorch.
        step: ``step(model, batch)``, returns a loss or ``{"loss", "n", "outputs", "targets"}``.
        metrics: name -> callable(outputs, targets).
        evaluate_data: what ``evaluate`` sees, where it isn't the same.
        reported: the figures that were seen: a ``History``, a dictionary, what ``watch`` recorded.
        steps: batches of a pass over ``data``.
        limit: samples that may pass side by side.
        batch_size: of ``fit``, for bare arrays.
        seed: of the dropout masks and of the orders that are tried.

    Raises:
        InputError: something given can't be used; the message says what would be right.
    """
    _check(
        {"limit": limit, "steps": steps, "batch_size": batch_size},
        {"loss": loss, "step": step},
        metrics,
        seed,
    )
    side, framework = side_of(model)
    data = own_data(model) if data is None else data
    if data is None:
        raise InputError("data is missing: give what fit sees (compare.audit needs none)")
    figures = read(reported)
    known = batch_size or figures.batch_size
    with _one_line():
        subject = side.Subject(model, loss=loss, step=step, metrics=metrics, batch_size=known, limit=limit)
        subject.modes = dict(figures.modes)
        known = known or subject.facts().batch_size or batch_size_of(data, figures.steps)
        ours = Data(data, "data", known, steps)
        theirs = None if evaluate_data is None else Data(evaluate_data, "evaluate_data", known, None)
        subject.ready(ours)
        before = subject.state()
        with subject.kept():
            passes = Passes(subject, ours, limit, figures.batches)
            others = None if theirs is None else Passes(subject, theirs, limit)
            measured = measure(subject, passes, others, limit, orders="loss" in figures.fit, seed=seed)
            case = Case(framework, subject, measured, figures, passes, others, limit, ours.batch_size)
            _judge(case)
            audited = _audit(framework, subject, measured.layers, stored.drifts(case))
        after = subject.state()
    found = _diagnosis(case, audited, "same" if before == after else "differs", ours.assumed)
    calls = {"loss": loss, "step": step, "metrics": metrics}
    return replace(found, given=asked(passes, others, figures, calls, limit))


def audit(model: Any) -> Audit:
    """Say what every normalisation layer does, and every other that acts differently in training. Needs no data.

    Raises:
        InputError: ``model`` isn't one.
    """
    side, framework = side_of(model)
    with _one_line():
        subject = side.Subject(model, loss=lambda outputs, targets: outputs)
        with subject.kept():
            return _audit(framework, subject, subject.layers(None), {})


def _check(counts: dict[str, Any], functions: dict[str, Any], metrics: Any, seed: Any) -> None:
    """Refuse an argument of another kind than it must be, by its name."""
    for name, value in counts.items():
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if value is not None and not (whole and int(value) >= 1):
            raise InputError(f"{name} is {value!r}; it must be a whole number, 1 or more")
    if not isinstance(seed, Integral) or int(seed) < 0:
        raise InputError(f"seed is {seed!r}; it must be a whole number, 0 or more")
    for name, value in functions.items():
        if value is not None and not callable(value):
            raise InputError(f"{name} is {type(value).__name__}; it must be a function")
    named = metrics is None or (isinstance(metrics, Mapping) and all(map(callable, metrics.values())))
    if not named:
        raise InputError("metrics must be a dictionary of functions: name -> callable(outputs, targets)")


def _judge(case: Case) -> None:
    """Make terms and findings, in the order in which they depend on one another."""
    modes.judge(case)
    reporting.judge_fit(case)
    foreign_weights = case.has("other-weights")
    for term in terms.of_switches(case.measured):
        if term.term == "stored-statistics":
            if foreign_weights or not case.normalisations():
                case.add("stale-statistics" if case.normalisations() else "other-layers", term.value)
            else:
                stored.judge(case, term.value)
            continue
        term = switching.named(case, term)
        case.add(term.term, term.value, term.uncertainty)
        if not foreign_weights:
            switching.find_switch(case, term)
    if not case.measured.switches:
        rest = loss_of(case.measured.uncompiled or case.measured.evaluate) - case.as_in_fit
        if rest:
            case.add("unexplained", rest)
    if case.measured.dropped:
        kept = sum(term.value for term in case.terms)
        case.add("samples", case.evaluated - case.said_in_fit - kept)
    elsewhere.judge(case)
    reporting.judge_evaluation(case)
    resolving.judge(case)
    _close(case)


def _close(case: Case) -> None:
    """Make the terms add up to the gap to the last digit, and say it where much is unexplained."""
    rest = case.gap - sum(term.value for term in case.terms)
    if isfinite(rest) and abs(rest) > 1e-6 * max(1.0, abs(case.gap)):
        case.add("unexplained", rest)
    elif isfinite(rest) and case.terms:
        last = max(case.terms, key=lambda term: abs(term.value))
        case.add(last.term, rest)


def _ranked(case: Case) -> tuple[Finding, ...]:
    def rank(finding: Finding) -> tuple[bool, int, bool, float]:
        broken = finding.cause == "numerics" and not isfinite(case.evaluated)
        # what is harmless comes before nothing that is harmful
        first = FIRST.index(finding.cause) if finding.cause in FIRST else len(FIRST)
        return not finding.harmful, first, not broken, -abs(finding.value or 0)

    found = sorted(case.findings, key=rank)
    if not found:
        text = "Evaluation is no worse than training, or by no more than chance."
        if not any(row.switch for row in case.measured.layers) and not case.measured.switches:
            text = "Nothing in this model acts differently in training and in evaluation. " + text
        found = [Finding("none", False, 0.0, (), text, cure(case.framework, "none"))]
    return tuple(found)


def _diagnosis(case: Case, audited: Audit, restored: Any, assumed: bool) -> Diagnosis:
    measured, probed = case.measured, case.measured.probed
    ours = measured.fit.figures if measured.fit else {}
    theirs = (measured.elsewhere or measured.evaluate).figures
    figures = {f"fit_{name}": value for name, value in ours.items()}
    figures |= {f"evaluate_{name}": value for name, value in theirs.items()}
    return Diagnosis(
        framework=case.framework,
        model=case.subject.name,
        samples=case.fit.look.size,
        reported=case.reported.given or None,
        measured=figures,
        gap=case.gap,
        terms=tuple(term for term in case.terms if term.value or isnan(term.value)),
        findings=_ranked(case),
        audit=audited,
        probes=Probes(
            evaluate_twice=probed.twice,
            state_after_evaluation=probed.state,
            alone_and_in_batch=probed.alone,
            restored=restored,
            data_twice="same" if case.fit.twice else "differs",
        ),
        notes=_notes(case, assumed),
    )


def _notes(case: Case, assumed: bool) -> tuple[str, ...]:
    notes = list(dict.fromkeys(case.measured.skipped))
    if not case.reported.given:
        notes.append("No reported figures were given, so that weights that moved in the epoch are left out.")
    if assumed:
        notes.append(
            f"No batch size was given; {case.batch_size} is assumed, and half of the causes depend on it."
        )
    if case.measured.dropped:
        notes.append(
            "A batch of one sample has no variance: training refuses it, and it is left out, as by drop_last."
        )
    if not case.fit.replayed and case.fit.look.held is None:
        notes.append(f"The data can't be repeated: the first {case.limit} samples of a pass stand for all.")
    return tuple(notes)


def _audit(framework: str, subject: Subject, layers: list[Layer], drifts: dict[str, stored.Drift]) -> Audit:
    rows = tuple(_row(row, drifts.get(row.name)) for row in sorted(layers, key=lambda row: row.order))
    findings = []
    for row in layers:
        if row.faults:
            text = f"{row.name} holds {', '.join(row.faults)}."
            findings.append(Finding("numerics", True, 0.0, (row.name,), text, cure(framework, "numerics")))
        elif row.frozen and row.moves and row.fit == "batch":
            text = f"Nothing in {row.name} trains, but its statistics move in training."
            findings.append(
                Finding("not-frozen", True, 0.0, (row.name,), text, cure(framework, "not-frozen"))
            )
    merged: dict[str, Finding] = {}
    for finding in findings:
        known = merged.get(finding.cause)
        merged[finding.cause] = finding if known is None else replace(
            known, layers=(*known.layers, *finding.layers), evidence=f"{known.evidence} {finding.evidence}"
        )  # fmt: skip
    return Audit(framework, subject.name, rows, tuple(merged.values()))


def _row(row: Layer, drift: stored.Drift | None) -> AuditRow:
    notes = [*row.faults, *([row.override] if row.override else [])]
    return AuditRow(
        layer=row.name,
        kind=row.kind,
        trains=row.trains,
        fit=row.fit,
        evaluate=row.evaluate,
        moves=row.moves,
        virgin=row.virgin,
        calls=row.calls,
        decay=row.decay,
        epsilon=row.epsilon,
        role=row.role,
        notes=tuple(notes),
        drift=None if drift is None else drift.mean,
        variance_drift=None if drift is None else drift.variance,
    )


@contextmanager
def _one_line() -> Iterator[None]:
    """What a framework or a person's own code refuses becomes one line that names it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(told(error)) from error


def told(error: BaseException) -> str:
    """Tell an error in one line: its message, and the line of the person's own code that it comes from."""
    import re
    import traceback
    from pathlib import Path

    # a terminal's colours, and what Keras adds of the arguments, don't fit into a line
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("Arguments received by")[0]
    message = " ".join(text.split()) or type(error).__name__
    ours, frames = Path(__file__).parent.parent.parent, traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename and ours not in Path(frame.filename).resolve().parents
    ]
    if own and "importlib" not in own[-1].filename:
        return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {type(error).__name__}: {message}"
    # what a framework says by itself names neither model nor data
    theirs = isinstance(error, RuntimeError) or (bool(frames) and "site-packages" in frames[-1].filename)
    return f"the model or its loss refuses the data: {message}" if theirs else message


__all__ = ["Measured", "audit", "diagnose"]
