"""A diagnosis for the terminal, 80 columns wide: the answer first, then what it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import isfinite
from textwrap import wrap

from compare.diagnosis.records import Audit, AuditRow, Diagnosis, Finding, Term, plain
from compare.diagnosis.show import words
from compare.spec import NAMES, some
from compare.words import plain as text_of

WIDTH = 80
# of a line of code, which stands indented
CODE = WIDTH - 5
# columns of a bar of the terms
BAR = 24
_COMMENT = re.compile(r"^(?P<indent>\s*)(?P<code>[^#]*[^#\s])\s{2,}(?P<comment># .*)$")


def diagnosed(diagnosis: Diagnosis) -> str:
    """All of a diagnosis as text."""
    parts = [
        [words.title(diagnosis)],
        _filled(text_of(words.answer(diagnosis)), ""),
        _findings(diagnosis.findings),
        _terms(words.terms(diagnosis), diagnosis.gap),
        _layers(diagnosis.audit.rows),
        _pairs("Probes", [(words.PROBES[name], said) for name, said in plain(diagnosis.probes).items()]),
        _pairs("Given", list(diagnosis.given.items())),
        [line for note in diagnosis.notes for line in _filled(note, "  ")],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def audited(audit: Audit) -> str:
    """All of an audit as text."""
    head = f"{audit.model} ({NAMES.get(audit.framework, audit.framework)}): what its layers do"
    nothing = [] if audit.rows else ["No layer of it acts differently in training, and none normalises."]
    parts = [[head], nothing, _findings(audit.findings), _layers(audit.rows)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def narrow(code: str) -> str:
    """Put a comment that makes a line of code too long above it, over several lines where it is long itself."""
    lines: list[str] = []
    for line in code.splitlines():
        found = _COMMENT.match(line) if len(line) > CODE else None
        if found and any(found["code"].count(quote) % 2 for quote in "\"'"):
            found = None  # the mark stands in a string
        if found:
            lines += [*_comment(found["indent"] + found["comment"]), found["indent"] + found["code"]]
        else:
            lines += _comment(line) if line.lstrip().startswith("#") else [line]
    return "\n".join(lines)


def _comment(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())] + "# "
    text = line.strip().removeprefix("#").strip()
    return wrap(text, CODE, initial_indent=indent, subsequent_indent=indent) or [line]


def _findings(findings: Sequence[Finding]) -> list[str]:
    lines = ["Findings"]
    for place, finding in enumerate(findings, 1):
        harm = "harmful" if finding.harmful else "harmless"
        worth = f", {words.change(finding.value)} in loss" if finding.value else ""
        lines += [f"{place}. {words.label(finding.cause)}: {harm}{worth}"]
        lines += _filled(some(finding.layers), "   ") + _filled(finding.evidence, "   ")
        lines += _filled(finding.cure.text, "   ")
        lines += [f"     {line}".rstrip() for line in narrow(finding.cure.code).splitlines()]
    return lines if findings else []


def _terms(terms: Sequence[Term], gap: float) -> list[str]:
    if not terms:
        return []
    finite = [abs(term.value) for term in terms if isfinite(term.value)]
    scale = max(finite, default=0.0) or 1.0
    wide = max(len(term.term) for term in terms)
    lines = ["Terms of the loss; they add up to evaluate minus fit"]
    for term in terms:
        half = f" ± {words.figure(term.uncertainty)}" if term.uncertainty else ""
        bar = ""
        if isfinite(term.value):
            bar = ("█" if term.value > 0 else "░") * round(BAR * abs(term.value) / scale)
        lines.append(
            f"  {words.label(term.term):{wide}}  {words.change(term.value):>9}{half:10}  {bar}".rstrip()
        )
    return [*lines, f"  {'the gap':{wide}}  {words.change(gap):>9}"]


def _layers(rows: Sequence[AuditRow]) -> list[str]:
    if not rows:
        return []
    lines = [
        "Layers, by what they do in training and in evaluation",
        f"  {'layer':30} {'fit':9} {'evaluate':9} {'trains':6} {'moves':5} {'decay':6} {'drift':>6}",
    ]
    for group in words.groups(rows):
        row = group[0]
        name = row.layer if len(group) == 1 else f"{row.layer} ... ({len(group)})"
        decay = "" if row.decay is None else f"{row.decay:.4g}"
        off = words.drift(group)
        lines.append(
            f"  {_cut(name, 30):30} {row.fit:9} {row.evaluate:9} {_yes(row.trains):6} {_yes(row.moves):5}"
            f" {decay:6} {'' if off is None else f'{off:.2g}':>6}".rstrip()
        )
        lines += _filled("; ".join(words.marks(group)), "    ")
    if words.drift(rows) is not None:
        lines += _filled("drift: how far stored means lie from the data's, in standard deviations", "  ")
    return lines


def _pairs(heading: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    lines = [line for name, value in rows for line in _filled(f"{name}: {value}", "  ")]
    return [heading, *lines] if lines else []


def _filled(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) if text else []


def _cut(name: str, wide: int) -> str:
    """A long path keeps its end, which tells it from its neighbours."""
    return name if len(name) <= wide else "…" + name[-(wide - 1) :]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
