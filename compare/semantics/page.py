"""The chapter: ``semantics.md``, from records alone, so that the same facts give the same page."""

from __future__ import annotations

from collections.abc import Sequence

from compare.frameworks import FRAMEWORKS
from compare.pages.render import render as fill
from compare.semantics.record import Record, read, releases
from compare.semantics.row import Measured
from compare.semantics.surprises import surprises
from compare.semantics.terminal import COLUMNS, cells, differing, epoch, layer_rows
from compare.semantics.timeline import timeline
from compare.semantics.words import policy

# what the tests measure again and compare with the records
TESTED = ("keras", "keras-torch", "torch")


def chapter() -> str:
    """Render the project's own chapter: everything that is recorded, the frameworks of today first."""
    past = [read(name) for name in releases()]
    today = sorted((r for r in past if r.framework), key=lambda r: list(FRAMEWORKS).index(str(r.framework)))
    return render([*today, *(record for record in past if record.framework is None)])


def render(records: Sequence[Record]) -> str:
    """Render records as Markdown: the time line, the surprises, a table a release, and each row's code."""
    context = {
        "records": records,
        "columns": COLUMNS,
        "periods": timeline(records),
        "surprises": list(surprises(records)),
        "codes": _codes(records),
        "cells": lambda does: [_escaped(cell) for cell in cells(does)],
        "differing": lambda record: differing(record, records),
        "layer_rows": layer_rows,
        "epoch": epoch,
        "policies": _policies,
        "how": _how,
        "hows": lambda period: "; ".join(dict.fromkeys(map(_how, period.records))),
    }
    return fill("semantics/page.md.j2", context)


def _escaped(cell: str) -> str:
    """A cell of a Markdown table."""
    return cell.replace("|", "\\|").replace("*", "\\*")


def _policies(does: Measured) -> str:
    """The policies that do this; none where one is only near."""
    found, but = policy(does)
    return "" if but else " or ".join(f"`{own.name}`" for own in found)


def _how(record: Record) -> str:
    """How a record's facts are known: by a measurement that the tests do again, or by one of then."""
    again = record.framework in TESTED and not record.measured
    return f"measured {record.date}, again by the tests" if again else record.how


def _codes(records: Sequence[Record]) -> list[tuple[str, str, str, list[str]]]:
    """Every code that is run: side, spelling, code, and the releases that ran it."""
    codes: dict[tuple[str, str, str], list[str]] = {}
    for record in records:
        for row in record.rows:
            codes.setdefault((record.side, row.spelling, row.code.strip()), []).append(record.label)
    return [(*key, labels) for key, labels in codes.items()]
