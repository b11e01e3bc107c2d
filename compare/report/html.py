"""The page: ``report.html``, one file that opens offline and holds its figures.

A section is a heading in ``template.html.j2`` and what `_context` gives it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from compare.report import figures as drawing
from compare.report import verdict
from compare.report.answer import answer
from compare.report.summary import Figures, Group, Run, groups, load_run
XX
from compare.spec import POLICIES

BAR = 34  # half the width of the little bars, in their own units


def write_report(run_dir: Path) -> Path:
    """Render a run directory's ``report.html`` and ``figures/`` from what the run left; imports no framework.

    The same run gives the same bytes. What can't be read is named at the top of the page.

    Returns:
        The path of the page.

    Raises:
        InputError: there is no such directory, or no cell in it has ended.
        OSError: the page can't be written.
    """
    run = load_run(Path(run_dir))
    page = _environment().get_template("template.html.j2").render(_context(run))
    path = run.folder / "report.html"
    drawing.replace(path, page.encode())
    return path


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["tone"] = _tone
    environment.filters |= {"signed": _minus, "figure": lambda value: f"{value:.3f}", "points": points}
    return environment


def _context(run: Run) -> dict:
    found = groups(run.config, run.cells)
    return {
        "title": "Where fit and evaluate part",
        "data": " · ".join([*map(_heading, found), *_data(run.config)]),
        "warnings": run.warnings,
        "tables": [_table(group) for group in found],
        "plots": [_plot(group, run.folder) for group in found],
        "facts": _facts(run.config),
        "names": NAMES,
        "gap": GAP,
        "seeds": max(group.seeds for group in found),
    }


def _data(config: dict) -> list[str]:
    """Name the images, and the classes, the positive one last."""
    data = config.get("data")
    if not isinstance(data, dict):
        return []
    return [f"data: {_shown(data.get('name'))}", f"classes: {_shown(data.get('classes'))}"]


def _heading(group: Group) -> str:
    return f"{NAMES[group.backbone]}, {group.numerics} numerics"


def _table(group: Group) -> dict:
    """Make what the template's table shows; the largest gap fills a bar."""
    cells = [figures for row in group.rows.values() for figures in row.values() if figures.finished]
    scale = max((abs(gap) for figures in cells if math.isfinite(gap := figures.mean_gap())), default=0.0)
    rows = [
        {
            "policy": name,
            "does": verdict.does(POLICIES[name], group.backbone),
            "cells": [_cell(row.get(framework), scale) for framework in group.frameworks],
            "words": verdict.sentence(POLICIES[name], group),
            "failures": [
                f"{NAMES[framework]}: {figures.failure}"
                for framework, figures in row.items()
                if figures.finished and figures.failure
            ],
        }
        for name, row in group.rows.items()
    ]
    return {
        "name": group.name,
        "heading": _heading(group),
        "answer": answer(group),
        "frameworks": group.frameworks,
        "rows": rows,
    }


def _cell(figures: Figures | None, scale: float) -> dict:
    if figures is None or not figures.finished:
        return {"finished": False, "failure": figures.failure if figures else "not run"}
    mean = figures.mean_gap()
    bar = round(BAR * abs(mean) / scale, 1) if scale and math.isfinite(mean) else 0.0
    return {
        "finished": True,
        "fit": figures.last("fit", "loss"),
        "evaluate": figures.last("evaluate", "loss"),
        "gap": figures.gap(),
        "mean": mean,
        "bar": {"x": BAR if mean > 0 else BAR - bar, "width": bar},
        "fit_accuracy": figures.last("fit", "accuracy"),
        "evaluate_accuracy": figures.last("evaluate", "accuracy"),
        "gap_accuracy": figures.gap("accuracy"),
        "mean_accuracy": figures.mean_gap("accuracy"),
    }


def _plot(group: Group, folder: Path) -> dict:
    name = f"curves-{group.name}"
    svg = drawing.save(drawing.curves(group), name, folder / "figures")
    return {"name": name, "heading": _heading(group), "svg": Markup(svg)}


def _facts(config: dict) -> dict[str, list[tuple[str, str]]]:
    """Sort a configuration into small tables: one a nested object, and ``run`` for what isn't nested."""
    tables: dict[str, list[tuple[str, str]]] = {"run": []}
    for key, value in config.items():
        if isinstance(value, dict):
            tables[key] = [(name, _shown(inner)) for name, inner in value.items()]
        else:
            tables["run"].append((key, _shown(value)))
    return {name: rows for name, rows in tables.items() if rows}


def _shown(value) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return value if isinstance(value, str) else json.dumps(value)


def _minus(value: float, digits: int = 3) -> str:
    return signed(value, digits).replace("-", "\N{MINUS SIGN}")


def _tone(worse: float) -> str:
    """Name the style of a difference, positive where evaluate is worse; NaN is worse too."""
    if not worse <= GAP:
        return "above"
    return "below" if worse < -GAP else "level"
