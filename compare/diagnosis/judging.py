"""The judge: from what was given and measured to terms, to findings, to a diagnosis."""

from __future__ import annotations

from math import isfinite, isnan

from compare.diagnosis import (
    elsewhere,
    modes,
    resolving,
    said_in_evaluation,
    said_in_fit,
    stored,
    switching,
    terms,
)
from compare.diagnosis.case import Case, loss
from compare.diagnosis.cures import cure
from compare.diagnosis.records import Answer, Audit, AuditRow, Diagnosis, Finding, Probes
from compare.diagnosis.side import Layer
from compare.spec import some

# what makes the figures themselves unreliable comes first, whatever the terms say
FIRST = ("mode-override", "random-evaluation", "evaluation-changes-state", "mode-in-evaluation")


def judge(case: Case) -> Audit:
    """Make terms and findings, in the order in which they depend on one another, and say what the layers do."""
    modes.judge(case)
    said_in_fit.judge(case)
    foreign_weights = case.has("other-weights")
    for term in terms.of_switches(case.measured):
        if term.term == terms.LAST_STEP:
            if foreign_weights or not case.normalisations():
                case.add("stale-statistics" if case.normalisations() else "other-layers", term.value)
            else:
                stored.judge(case, term.value)
            continue
        term = switching.named(case, term)
        case.add(term.term, term.value, term.uncertainty)
        if not foreign_weights:
            switching.find_switch(case, term)
    switching.find_together(case)
    if not case.measured.switches:
        rest = loss(case.measured.uncompiled or case.measured.evaluate) - case.as_in_fit
        if rest:
            case.add("unexplained", rest)
    if case.measured.dropped:
        kept = sum(term.value for term in case.terms)
        case.add("samples", case.evaluated - case.said_in_fit - kept)
    elsewhere.judge(case)
    said_in_evaluation.judge(case)
    resolving.judge(case)
    _close(case)
    return audit(case.framework, case.subject.name, case.measured.layers, stored.drifts(case))


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
        found = [Finding("none", False, 0.0, (), _nothing(case), cure(case.framework, "none"))]
    return tuple(found)


def _nothing(case: Case) -> str:
    """One sentence where nothing was found: what the model does with its modes, and that it costs nothing."""
    text = "evaluation is no worse than training, or by no more than chance."
    rows = case.measured.layers
    alike = tuple(row.name for row in rows if row.role == "normalisation" and row.evaluate == "batch")
    if alike:
        return f"{some(alike)} normalises with the batch's own statistics in evaluation, too, and {text}"
    if not any(row.switch for row in rows) and not case.measured.switches:
        return f"Nothing in this model acts differently in training and in evaluation, and {text}"
    return f"E{text[1:]}"


def concluded(case: Case, audited: Audit, restored: Answer, assumed: bool = False) -> Diagnosis:
    """Put a judged case into a diagnosis.

    Args:
        case, audited: the case, and what `judge` returned of it.
        restored: whether all state is as it was before the measurements.
        assumed: whether nobody gave the batch size.
    """
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
    if case.reported.epoch is not None:
        notes.append(
            f"By its val_loss the model has the weights of epoch {case.reported.epoch}, and not the last one's, as"
            " where an early stop restores the best: the figures compared are those of that epoch."
        )
    if not case.reported.given:
        notes.append("No reported figures were given, so that weights that moved in the epoch are left out.")
    elif "loss" not in case.reported.fit | case.reported.evaluate:
        notes.append(
            f"The reported figures ({some(list(case.reported.given))}) have neither training's loss, as loss, nor"
            " evaluation's, as evaluate_loss: nothing is compared with them."
        )
    facts = case.measured.facts
    if len(facts.initial) > 0.5 * facts.parameters and not case.has("other-weights"):
        notes.append(
            f"{len(facts.initial)} of {facts.parameters} parameters are as an initialiser makes them: if this model"
            " should have been trained, give the one that was, with its weights."
        )
    if assumed:
        notes.append(
            f"No batch size was given; {case.batch_size} is assumed, and half of the causes depend on it."
        )
    if case.fit.shuffled:
        notes.append(
            "The arrays stand in an order that training's figures aren't of, sorted by class for one: they are shuffled"
            " here, as fit does it unless it is told otherwise."
        )
    if case.measured.dropped:
        notes.append(
            "A batch of one sample has no variance: training refuses it, and it is left out, as by drop_last."
        )
    if not case.fit.replayed and case.fit.look.held is None:
        notes.append(f"The data can't be repeated: the first {case.limit} samples of a pass stand for all.")
    return tuple(notes)


def audit(framework: str, model: str, layers: list[Layer], drifts: dict[str, stored.Drift]) -> Audit:
    """Say what the layers do, and what is wrong with them whatever the data are.

    Args:
        framework: ``keras`` or ``torch``.
        model: its name.
        layers: as they were observed.
        drifts: layer -> how far its stored statistics lie from the data's.
    """
    rows = tuple(_row(row, drifts.get(row.name)) for row in sorted(layers, key=lambda row: row.order))
    broken = [row for row in layers if row.faults]
    drifting = [row for row in layers if not row.faults and row.frozen and row.moves and row.fit == "batch"]
    holds = [f"{row.name} holds {', '.join(row.faults)}." for row in broken]
    moves = [f"Nothing in {row.name} trains, but its statistics move in training." for row in drifting]
    found = (_of_all(framework, "numerics", broken, holds), _of_all(framework, "not-frozen", drifting, moves))
    return Audit(framework, model, rows, tuple(finding for finding in found if finding is not None))


def _of_all(framework: str, cause: str, rows: list[Layer], told: list[str]) -> Finding | None:
    """One finding of all layers of which the same is wrong, with one cure for all of them; None of none."""
    if not rows:
        return None
    names, by_hand = tuple(row.name for row in rows), any(row.by_hand for row in rows)
    return Finding(
        cause,
        True,
        0.0,
        names,
        " ".join(told),
        cure(framework, cause, names, "by-hand" if by_hand else ""),
    )


def _row(row: Layer, drift: stored.Drift | None) -> AuditRow:
    notes = [*row.faults, *([row.override.words] if row.override else [])]
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
