"""The words of a diagnosis: what a cause is in a sentence, and the one sentence that answers it all."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from compare.diagnosis.records import AuditRow, Diagnosis, Finding, Term
from compare.spec import NAMES
from compare.words import Span, signed

# cause -> what is so, as the end of a sentence
IS = {
    "none": "evaluation is no worse than training, or by no more than chance",
    "stale-statistics": "the moving statistics that evaluation normalises with haven't arrived at the data's",
    "foreign-statistics": "evaluation normalises with statistics of other data than training does",
    "batch-noise": "training normalises with batches that are too small to stand for the data",
    "unmixed-batches": "the batches are unlike one another, so that no stored statistics fit all of them",
    "decay": "the decay keeps the moving statistics from being an average of many batches",
    "shared-layer": "one normalisation layer is called on unlike inputs, and its moving statistics are a mixture",
    "not-frozen": "layers that look frozen aren't, or are in one of the two modes only",
    "mode-override": "a layer doesn't run in training, or in evaluation, as it should",
    "mode-in-evaluation": "evaluation runs something as in training",
    "random-evaluation": "two evaluations of the same weights differ",
    "evaluation-changes-state": "evaluating changes the model",
    "dropout": "dropout or other noise is on in training and off in evaluation",
    "augmentation": "training sees augmented inputs and evaluation doesn't",
    "weights-moved": "training's figure is a mean over an epoch in which the weights changed",
    "aggregation": "the two figures are averaged in different ways",
    "objective": "the two figures are of different objectives",
    "metric": "a metric isn't computed the way that it is meant",
    "input-scale": "the inputs aren't scaled as those that the network was trained on",
    "data-differ": "fit's and evaluate's data are preprocessed differently",
    "samples": "the two figures are of different samples",
    "other-weights": "the figures are of other weights than these",
    "numerics": "values leave the range of their precision",
}
PROBES = {
    "evaluate_twice": "two evaluations, the state put back in between",
    "state_after_evaluation": "weights and statistics before and after an evaluation",
    "alone_and_in_batch": "a sample's outputs alone and in its batch",
    "data_twice": "the samples of two passes over fit's data",
    "restored": "all state before and after this diagnosis, by hash",
}
# the same of a cause that nothing shows but a figure
PERHAPS = {"other-weights": "a reported figure isn't what these weights give on these data"}
# how much of the gap must be unexplained to be said in the answer
UNEXPLAINED = 0.1
# of the gap: what a cause explains of it that isn't worth a word in the answer
SMALL = 0.03
# of the largest term: what less than that is rounding, which nobody wants to read
ROUNDING = 1e-5


def label(term: str) -> str:
    """What a term is called."""
    return term.replace("-", " ")


def figure(value: float) -> str:
    """A figure to three digits."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.4g}"


def change(value: float) -> str:
    """A signed figure to three digits; what is nothing beside a loss is 0."""
    if not isfinite(value) or value == 0:
        return f"{value:+g}".lstrip("+") if value else "0"
    digits = 2
    while digits < 8 and abs(value) < 10 ** (1 - digits):
        digits += 1
    return signed(value, digits)


def terms(diagnosis: Diagnosis) -> tuple[Term, ...]:
    """The terms that are more than rounding."""
    largest = max((abs(term.value) for term in diagnosis.terms if isfinite(term.value)), default=0.0)
    return tuple(
        term for term in diagnosis.terms if not isfinite(term.value) or abs(term.value) > ROUNDING * largest
    )


def title(diagnosis: Diagnosis) -> str:
    """Whose diagnosis it is."""
    return f"{diagnosis.model} ({NAMES.get(diagnosis.framework, diagnosis.framework)}), {diagnosis.samples} samples"


def answer(diagnosis: Diagnosis, figures: bool = True) -> tuple[Span, ...]:
    """The answer in a sentence, with a second one where much of the gap has no explanation.

    Args:
        diagnosis: what is told.
        figures: whether both losses are told, too.
    """
    first = diagnosis.findings[0] if diagnosis.findings else None
    losses = f" ({_figures(diagnosis)})" if figures else ""
    if first is None or first.cause == "none":
        said = first.evidence.rstrip(".") if first and first.evidence else IS["none"]
        spans = [Span("Nothing harmful", "well"), Span(f": {_lower(said)}{losses}.")]
    elif first.harmful:
        spans = [Span("Harmful", "worse"), Span(f": {_why(diagnosis, first)}{losses}.")]
    else:
        spans = [Span("Nothing harmful", "well"), Span(f": {_why(diagnosis, first)}{losses}.")]
    rest = sum(term.value for term in diagnosis.terms if term.term == "unexplained")
    if isfinite(rest) and abs(rest) > max(UNEXPLAINED * abs(diagnosis.gap), 1e-6):
        spans.append(Span(f" {change(rest)} of the gap is unexplained."))
    return tuple(spans)


def _why(diagnosis: Diagnosis, finding: Finding) -> str:
    said = IS.get(finding.cause, label(finding.cause))
    said = said if finding.harmful else PERHAPS.get(finding.cause, said)
    # a cause may do harm and be next to nothing of the gap: its figure would mislead here
    if not isfinite(finding.value) or not isfinite(diagnosis.gap):
        return said
    if abs(finding.value) <= SMALL * abs(diagnosis.gap) or not finding.value:
        return said
    return f"{said}, which is {change(finding.value)} of the gap of {change(diagnosis.gap)} in loss"


def headline(diagnosis: Diagnosis) -> str:
    """What the person came with: the two figures."""
    return _upper(_figures(diagnosis))


def _figures(diagnosis: Diagnosis) -> str:
    reported = diagnosis.reported or {}
    fit = reported.get("loss", reported.get("train_loss", diagnosis.measured.get("fit_loss")))
    if fit is None:
        return f"evaluate minus fit is {change(diagnosis.gap)} in loss"
    evaluate = fit + diagnosis.gap
    return f"fit's loss is {figure(fit)}, evaluate's {figure(evaluate)}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def groups(rows: Sequence[AuditRow]) -> list[list[AuditRow]]:
    """Layers that do the same stand together, in the order of the first of each."""
    found: dict[tuple[object, ...], list[AuditRow]] = {}
    for row in rows:
        does = (row.kind, row.role, row.trains, row.fit, row.evaluate, row.moves, row.virgin, row.calls)
        found.setdefault((*does, row.decay, row.epsilon, _common(row)), []).append(row)
    return list(found.values())


def _common(row: AuditRow) -> tuple[str, ...]:
    """A row's notes without its own name, so that those of the same kind are the same."""
    return tuple(note.replace(row.layer, "") for note in row.notes)


def drift(rows: Sequence[AuditRow]) -> float | None:
    """The largest drift of some rows."""
    return max((row.drift for row in rows if row.drift is not None), default=None)


def marks(rows: Sequence[AuditRow]) -> list[str]:
    """What a reader should know of layers that do the same, beside the table's columns."""
    row = rows[0]
    found = [row.kind]
    if row.virgin:
        found.append("statistics as they were made")
    if row.calls > 1:
        found.append(f"called {row.calls} times a pass")
    return [*found, *row.notes]
