"""What the page's sections show of a table, row by row."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from compare.diagnosis.show.page import finding
from compare.gap.records import METRICS, PARTS, CellResult
from compare.pages.figures.bars import Bar
from compare.pages.figures.curves import Course, Panel
from compare.pages.figures.drift import Strip
from compare.pages.render import CLASSES
from compare.report.rows import Entry, Table, sentences
from compare.spec import POLICIES, TRAINS
from compare.verdict.figures import Explained, label
from compare.verdict.seeds import Difference, estimate
from compare.words import plain

# half the width of the little bars, in their own units
BAR = 34


def results(table: Table) -> list[dict]:
    """A row a policy, with a cell a framework; the largest gap fills a bar."""
    gaps = [entry.judgement.figures.mean_gap() for _, _, entry in table.entries if entry.judgement]
    scale = max((abs(gap) for gap in gaps if math.isfinite(gap)), default=0.0)
    return [
        {
            "policy": name,
            "does": _does(name, table),
            "cells": [_result(row.get(framework), scale) for framework in table.frameworks],
            "words": sentences(row, table.labels),
            "failures": [
                f"{table.labels[framework]}: {entry.failure}"
                for framework, entry in row.items()
                if entry.finished and entry.failure
            ],
        }
        for name, row in table.rows.items()
    ]


def _does(policy: str, table: Table) -> str:
    return POLICIES[policy].does if table.has_bn else f"trains {TRAINS[POLICIES[policy].trains]}; no BN"


def _result(entry: Entry | None, scale: float) -> dict:
    if entry is None or entry.judgement is None:
        return {"finished": False, "failure": entry.failure if entry else "not run"}
    figures = entry.judgement.figures
    mean, mean_accuracy = figures.mean_gap(), figures.mean_gap("accuracy")
    bar = round(BAR * abs(mean) / scale, 1) if scale and math.isfinite(mean) else 0.0
    tone = CLASSES.get(figures.tone(mean, "loss"), "level")
    return {
        "finished": True,
        "fit": entry.ending("fit", "loss"),
        "evaluate": entry.ending("evaluate", "loss"),
        "gap": entry.gap(),
        "mean": mean,
        "tone": tone,
        "bar": {"x": BAR if mean > 0 else BAR - bar, "width": bar},
        "fit_accuracy": entry.ending("fit", "accuracy"),
        "evaluate_accuracy": entry.ending("evaluate", "accuracy"),
        "gap_accuracy": entry.gap("accuracy"),
        "mean_accuracy": mean_accuracy,
        "tone_accuracy": CLASSES.get(figures.tone(mean_accuracy, "accuracy"), "level"),
    }


def tests(table: Table) -> list[list[Difference]]:
    """The paired tests, a block a family: between the frameworks, and between the policies of each."""
    return [block for block in table.tests() if block]


def panels(table: Table) -> dict[str, dict[str, Panel]]:
    """The curves: policy -> framework -> its trainings."""
    return {
        policy: {table.labels[name]: _panel(entry) for name, entry in row.items()}
        for policy, row in table.rows.items()
    }


def _panel(entry: Entry) -> Panel:
    finished, broken = ([_course(cell) for cell in cells] for cells in (entry.finished, entry.failed))
    if entry.judgement is None:
        return Panel(finished, broken, failure=entry.failure)
    figures = entry.judgement.figures
    mean = figures.mean_gap()
    return Panel(finished, broken, mean, figures.tone(mean, "loss") == "worse", entry.failure)


def _course(cell: CellResult) -> Course:
    losses: dict[str, list[float]] = {
        part: [epoch.part(part)["loss"] for epoch in cell.history] for part in PARTS
    }
    return Course([epoch.epoch for epoch in cell.history], losses)


def bar(entry: Entry | None) -> Bar | str:
    """The terms of a gap as a bar, or what there is to say in its place."""
    if entry is None or entry.judgement is None:
        return "failed" if entry else "not run"
    explained, figures = entry.last, entry.judgement.figures
    terms = {name: explained.term(name) for name in explained.terms} if explained else {}
    gap = explained.gap() if explained else figures.gap()
    half = estimate(list(figures.last_gaps["loss"].values())).half
    return Bar(terms, gap, half, figures.tone(gap, "loss") == "worse")


def labels(entries: Sequence[Entry]) -> dict[str, str]:
    """What a figure's legend calls the terms that there are."""
    return {name: label(name) for entry in entries if entry.last for name in entry.last.terms}


def strips(table: Table) -> list[Strip]:
    """The drift, first and last explained epoch of each policy and framework; none where no layer drifts."""
    found = []
    for policy, framework, entry in table.entries:
        for explained in (entry.first, entry.last) if entry.first != entry.last else (entry.last,):
            if explained and explained.layers:
                name = f"{policy} · {table.labels[framework]} · {_epochs(explained)}"
                found.append(Strip(policy, name, explained.layers))
    return found


def _epochs(explained: Explained) -> str:
    low, high = min(explained.epochs), max(explained.epochs)
    return f"epoch {low}" if low == high else f"epochs {low}-{high}"


def terms(table: Table) -> dict | None:
    """A row for each policy and framework that is explained; None where none is."""
    rows = [(policy, framework, entry.last) for policy, framework, entry in table.entries if entry.last]
    if not rows:
        return None
    own = dict.fromkeys(name for _, _, explained in rows for name in explained.terms)
    return {
        "names": [label(name) for name in own],
        "rows": [
            {
                "policy": policy,
                "framework": framework,
                "epochs": shown(sorted(set(explained.epochs))),
                "terms": [_term(explained, name) for name in own],
                "gap": {m: estimate(list(explained.gaps(m).values())) for m in METRICS},
            }
            for policy, framework, explained in rows
        ],
    }


def _term(explained: Explained, name: str) -> dict:
    figures = {metric: estimate(list(explained.values(name, metric).values())) for metric in METRICS}
    return {**figures, "uncertainty": explained.uncertainty(name)}


def stages(table: Table) -> dict:
    """A row for each policy and framework with BN statistics that are off, a column a stage."""
    rows = [row for row in table.entries if row[2].last and row[2].last.layers]
    own = dict.fromkeys(name for _, _, entry in rows for name in entry.last.stages())
    return {
        "names": list(own),
        "rows": [
            {
                "policy": policy,
                "framework": framework,
                "term": entry.last.stored(),
                "parts": [entry.last.stages().get(name) for name in own],
                "worst": entry.last.worst,
            }
            for policy, framework, entry in rows
        ],
    }


def details(table: Table) -> list[dict]:
    """The judgements that have more to say than their sentence, and the findings of the diagnosis behind them."""
    return [
        {
            "policy": policy,
            "framework": framework,
            "sentence": plain(entry.judgement.sentence),
            "more": entry.judgement.more,
            "findings": [{**finding(found), "first": False} for found in entry.last.findings],
        }
        for policy, framework, entry in table.entries
        if entry.judgement and (entry.judgement.more or entry.last.findings)
    ]


def settings(config: dict) -> dict[str, list[tuple[str, str]]]:
    """Sort a configuration into small tables: one a nested object, and ``run`` for what isn't nested."""
    tables: dict[str, list[tuple[str, str]]] = {"run": []}
    for key, value in config.items():
        if isinstance(value, dict):
            tables[key] = [(name, shown(inner)) for name, inner in value.items()]
        elif value != "":  # a sentence that there was no reason to say
            tables["run"].append((key, shown(value)))
    return {name: rows for name, rows in tables.items() if rows}


def data(config: dict) -> list[str]:
    """Name the images, and the classes, the positive one last."""
    own = config.get("data")
    if not isinstance(own, dict):
        return []
    return [f"data: {shown(own.get('name'))}", f"classes: {shown(own.get('classes'))}"]


def shown(value: Any) -> str:
    """A value of a configuration as people read it."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return value if isinstance(value, str) else json.dumps(value)
