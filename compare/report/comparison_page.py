"""The page of several runs beside each other."""

from __future__ import annotations

from pathlib import Path

from compare.report import comparison, rows
from compare.report.comparison import Comparison, Line
from compare.report.figures.bars import bars
from compare.report.page import picture, write_page
from compare.spec import FRAMEWORKS
from compare.verdict.figures import Figures


def write_comparison(compared: Comparison, folder: Path) -> Path:
    """Render a comparison as ``report.html`` and ``figures/`` in a folder, which is made where there is none.

    Raises:
        OSError: the page can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown: dict[str, dict[str, Figures]] = {}
    for line in compared.lines:
        for name, figures in zip(compared.names, line.figures, strict=True):
            if figures:
                shown.setdefault(f"{comparison.policy_of(compared, line)}\n{name}", {})[line.framework] = (
                    figures
                )
    frameworks = tuple(name for name in FRAMEWORKS if any(line.framework == name for line in compared.lines))
    alt = "The gap in loss and its terms: a bar for each policy, run and framework. The figures are in the table."
    context = {
        "title": "Runs beside each other",
        "subtitle": " · ".join(compared.names),
        "warnings": comparison.warnings(compared),
        "answer": comparison.answer(compared),
        "runs": compared.names,
        "lines": [{**_row(line), "policy": comparison.policy_of(compared, line)} for line in compared.lines],
        "bars": picture(bars(shown, frameworks), "terms", alt, folder),
        "changes": comparison.changes(compared),
        "facts": [
            (name, rows.facts(run.config)) for name, run in zip(compared.names, compared.runs, strict=True)
        ],
    }
    return write_page("comparison.html.j2", context, folder)


def _row(line: Line) -> dict:
    places = range(len(line.figures))
    return {
        "framework": line.framework,
        "cells": [
            {
                "gap": line.gap(place),
                "accuracy": line.gap(place, "accuracy"),
                "val": comparison.val(line.figures[place], "accuracy"),
                "finding": line.found(place),
                "failure": figures.failure if (figures := line.figures[place]) else "not run",
            }
            for place in places
        ],
    }
