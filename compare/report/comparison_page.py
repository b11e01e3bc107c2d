"""The page of several runs beside each other."""

from __future__ import annotations

from pathlib import Path

from compare.pages.figures.bars import Bar, bars
from compare.report import comparison, sections
from compare.report.comparison import Comparison, Line
from compare.report.page import picture, write_page


def write_comparison(compared: Comparison, folder: Path) -> Path:
    """Render a comparison as ``report.html`` and ``figures/`` in a folder, which is made where there is none.

    Raises:
        OSError: the page can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown: dict[str, dict[str, Bar | str]] = {}
    for line in compared.lines:
        for name, entry in zip(compared.names, line.entries, strict=True):
            if entry:
                row = shown.setdefault(f"{comparison.policy_of(compared, line)}\n{name}", {})
                row[compared.labels[line.framework]] = sections.bar(entry)
    labels = sections.labels([entry for line in compared.lines for entry in line.entries if entry])
    alt = "The gap in loss and its terms: a bar for each policy, run and framework. The figures are in the table."
    context = {
        "title": "Runs beside each other",
        "subtitle": " · ".join(compared.names),
        "warnings": comparison.warnings(compared),
        "answer": comparison.answer(compared),
        "runs": compared.names,
        "labels": compared.labels,
        "lines": [{**_row(line), "policy": comparison.policy_of(compared, line)} for line in compared.lines],
        "bars": picture(bars(shown, list(compared.labels.values()), labels), "terms", alt, folder),
        "changes": list(map(str, comparison.changes(compared))),
        "facts": [
            (name, sections.settings(run.config))
            for name, run in zip(compared.names, compared.runs, strict=True)
        ],
    }
    return write_page("report/comparison.html.j2", context, folder)


def _row(line: Line) -> dict:
    places = range(len(line.entries))
    return {
        "framework": line.framework,
        "cells": [
            {
                "gap": line.gap(place),
                "accuracy": line.gap(place, "accuracy"),
                "val": comparison.val(line.entries[place], "accuracy"),
                "finding": line.finding(place),
                "gap_in": line.gap_in(place),
                "failure": entry.failure if (entry := line.entries[place]) else "not run",
            }
            for place in places
        ],
    }
