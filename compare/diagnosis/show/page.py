"""A diagnosis as a page of its own, and as a notebook shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compare import files
from compare.diagnosis.records import Audit, AuditRow, Diagnosis, Finding, plain
from compare.diagnosis.show import words
from compare.diagnosis.show.text import narrow
from compare.pages.code import coloured
from compare.pages.render import render
from compare.spec import NAMES, some
from compare.words import Span, signed

# rows of the figure of drift need this many layers to show a course over depth
COURSE = 2


@dataclass(frozen=True)
class Depth:
    """A normalisation layer as the figure of drift wants it."""

    stage: str
    mean_drift: float
    log_variance_ratio: float


def write(shown: Diagnosis | Audit, path: Path) -> Path:
    """Write the page and return its path.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, render("diagnosis/show/page.html.j2", _context(shown)))
    return path


def cell(shown: Diagnosis | Audit) -> str:
    """The same without a page around it, as a notebook shows it: its figures bring their colours along."""
    from compare.pages.figures.drawing import VARIABLES

    # a notebook shows several of them in one page, where each figure's ids must be its own
    own = blake2b(repr(shown).encode(), digest_size=4).hexdigest()
    colours = "; ".join(f"{_bare(variable)}: {colour}" for colour, variable in VARIABLES.items())
    return render("diagnosis/show/cell.html.j2", {**_context(shown, own), "colours": colours})


def _bare(variable: str) -> str:
    return variable.removeprefix("var(").removesuffix(")")


def _context(shown: Diagnosis | Audit, own: str = "") -> dict[str, Any]:
    audit = shown if isinstance(shown, Audit) else shown.audit
    context: dict[str, Any] = {
        "warnings": [],
        "findings": [finding(one) for one in shown.findings],
        "layers": [_layer(group) for group in words.groups(audit.rows)],
        "rows": [_layer([row]) for row in audit.rows],
        "drifting": words.drift(audit.rows) is not None,
        "drift": _drift(audit.rows, own),
        "bars": None,
        "terms": [],
        "facts": {},
        "notes": [],
        "figures": [],
    }
    if isinstance(shown, Audit):
        name = f"{audit.model} ({NAMES.get(audit.framework, audit.framework)})"
        return context | {
            "title": f"What the layers of {audit.model} do",
            "subtitle": name,
            "answer": _found(audit),
        }
    return context | {
        "title": words.headline(shown),
        "subtitle": words.title(shown),
        "answer": words.answer(shown, figures=bool(own)),
        "bars": _bars(shown, own) if shown.terms else None,
        "terms": [
            (words.label(t.term), words.change(t.value), words.figure(t.uncertainty) if t.uncertainty else "")
            for t in words.terms(shown)
        ],
        "gap": words.change(shown.gap),
        "facts": {
            "Probes": [(words.PROBES[name], said) for name, said in plain(shown.probes).items()],
            "Given": list(shown.given.items()),
            "Measured": [(name, words.figure(value)) for name, value in shown.measured.items()],
        },
        "notes": list(shown.notes),
    }


def _found(audit: Audit) -> tuple[Span, ...]:
    if not audit.rows:
        return (Span("No layer of it acts differently in training, and none normalises."),)
    harmful = [finding for finding in audit.findings if finding.harmful]
    if not harmful:
        return (Span("Nothing harmful", "well"), Span(" to be seen in its layers alone."))
    return (Span("Harmful", "worse"), Span(f": {words.IS[harmful[0].cause]}."))


def finding(found: Finding) -> dict[str, Any]:
    """What a page's part ``finding`` shows."""
    return {
        "cause": words.label(found.cause),
        "harmful": found.harmful,
        "harm": "harmful" if found.harmful else "harmless",
        "value": f"{words.change(found.value)} in loss" if found.value else "",
        "layers": found.layers,
        "some": some(found.layers),
        "evidence": found.evidence,
        "cure": found.cure.text,
        "code": coloured(narrow(found.cure.code)) if found.cure.code else "",
    }


def _layer(group: Sequence[AuditRow]) -> dict[str, Any]:
    row, off = group[0], words.drift(group)
    return {
        "name": row.layer,
        "more": len(group) - 1,
        "last": group[-1].layer,
        "kind": row.kind,
        "fit": row.fit,
        "evaluate": row.evaluate,
        "parts": row.fit != row.evaluate,
        "trains": row.trains,
        "moves": row.moves,
        "calls": row.calls,
        "decay": "" if row.decay is None else f"{row.decay:.4g}",
        "epsilon": "" if row.epsilon is None else f"{row.epsilon:.3g}",
        "drift": "" if off is None else words.figure(off),
        "marks": "; ".join(words.marks(group)[1:]),
    }


def _bars(diagnosis: Diagnosis, own: str) -> dict[str, Any]:
    """The terms, a bar each, and the gap that they add up to."""
    from compare.pages.figures import drawing
    from compare.pages.figures.bars import Bar, bars

    harmful = {finding.cause for finding in diagnosis.findings if finding.harmful}
    values = {term.term: term.value for term in words.terms(diagnosis) if isfinite(term.value)}
    rows = {}
    for term in words.terms(diagnosis):
        alone = {term.term: term.value} if isfinite(term.value) else {}
        worse = term.term in harmful
        rows[words.label(term.term)] = {"": Bar(alone, term.value, term.uncertainty or None, worse)}
    rows["the gap"] = {"": Bar(values, diagnosis.gap, None, bool(harmful))}
    said = "; ".join(f"{words.label(t.term)} {signed(t.value, 3)}" for t in words.terms(diagnosis))
    alt = f"The terms of the gap in loss: {said}."
    return {"name": "", "alt": alt, "svg": Markup(drawing.inline(bars(rows, [""], None, ""), f"terms{own}"))}


def _drift(rows: Sequence[AuditRow], own: str) -> dict[str, Any] | None:
    """The drift of every normalisation layer over depth; None where too few can be compared."""
    from compare.pages.figures import drawing
    from compare.pages.figures.drift import Strip, drift

    layers = [
        Depth(_stage(row.layer), row.drift, row.variance_drift or 0.0)
        for row in rows
        if row.drift is not None
    ]
    if len(layers) < COURSE or not all(isfinite(layer.mean_drift) for layer in layers):
        return None
    figure = drift([Strip("", "stored, beside the data's", layers)], "root of the mean square over channels")
    alt = f"Drift of {len(layers)} normalisation layers over depth; the table below has it in figures."
    return {"name": "", "alt": alt, "svg": Markup(drawing.inline(figure, f"drift{own}"))}


def _stage(name: str) -> str:
    """The part of the network that a layer is in, by its name."""
    for mark in ("/", ".", "_"):
        if mark in name:
            return name.split(mark)[0]
    return name
