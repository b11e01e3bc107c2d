"""What the page's tables show, row by row."""

from __future__ import annotations

import json
import math
from typing import Any

from compare.spec import NAMES, POLICIES
from compare.verdict.explained import METRICS, Explained, label
from compare.verdict.figures import Figures, Group
from compare.verdict.seeds import between_frameworks, between_policies, estimate
from compare.verdict.with_terms import sentences, verdict
from compare.verdict.words import does

BAR = 34  # half the width of the little bars, in their own units


def results(group: Group) -> list[dict]:
    """A row a policy, with a cell a framework; the largest gap fills a bar."""
    cells = [figures for row in group.rows.values() for figures in row.values() if figures.finished]
    scale = max((abs(gap) for figures in cells if math.isfinite(gap := figures.mean_gap())), default=0.0)
    return [
        {
            "policy": name,
            "does": does(POLICIES[name], group.backbone),
            "cells": [_result(row.get(framework), scale) for framework in group.frameworks],
            "words": sentences(POLICIES[name], group),
            "failures": [
                f"{NAMES[framework]}: {figures.failure}"
                for framework, figures in row.items()
                if figures.finished and figures.failure
            ],
        }
        for name, row in group.rows.items()
    ]


def _result(figures: Figures | None, scale: float) -> dict:
    if figures is None or not figures.finished:
        return {"finished": False, "failure": figures.failure if figures else "not run"}
    mean = figures.mean_gap()
    bar = round(BAR * abs(mean) / scale, 1) if scale and math.isfinite(mean) else 0.0
    return {
        "finished": True,
        "fit": figures.last("fit", "loss"),
        "evaluate": figures.last("evaluate", "loss"),
        "gap": estimate(list(figures.gaps().values())),
        "mean": mean,
        "bar": {"x": BAR if mean > 0 else BAR - bar, "width": bar},
        "fit_accuracy": figures.last("fit", "accuracy"),
        "evaluate_accuracy": figures.last("evaluate", "accuracy"),
        "gap_accuracy": estimate(list(figures.gaps("accuracy").values())),
        "mean_accuracy": figures.mean_gap("accuracy"),
    }


def tests(group: Group) -> list[list]:
    """The paired tests, a block a family: between the frameworks, and between the policies of each."""
    blocks = [between_frameworks(group), *(between_policies(group, name) for name in group.frameworks)]
    return [block for block in blocks if block]


def terms(group: Group) -> dict | None:
    """A row for each policy and framework that is explained; None where none is."""
    rows = _explained(group)
    if not rows:
        return None
    own = dict.fromkeys(name for _, _, explained in rows for name in explained.terms)
    return {
        "names": [label(name) for name in own],
        "rows": [
            {
                "policy": policy,
                "framework": framework,
                "epochs": _shown(sorted(set(explained.epochs))),
                "terms": [_term(explained, name) for name in own],
                "gap": {m: estimate(list(explained.gaps(m).values())) for m in METRICS},
            }
            for policy, framework, explained in rows
        ],
    }


def _term(explained: Explained, name: str) -> dict:
    figures = {metric: estimate(list(explained.values(name, metric).values())) for metric in METRICS}
    return {**figures, "uncertainty": explained.uncertainty(name)}


def stages(group: Group) -> dict:
    """A row for each policy and framework with BN statistics that are off, a column a stage."""
    rows = [row for row in _explained(group) if row[2].layers]
    own = dict.fromkeys(name for _, _, explained in rows for name in explained.stages())
    return {
        "names": list(own),
        "rows": [
            {
                "policy": policy,
                "framework": framework,
                "term": explained.term("moving-statistics"),
                "parts": [explained.stages().get(name) for name in own],
                "worst": explained.worst,
            }
            for policy, framework, explained in rows
        ],
    }


def stories(group: Group) -> list[dict]:
    """The verdicts that have more to say than their sentence."""
    judged = [(p, f, verdict(POLICIES[p], group, f)) for p, f, _ in _explained(group)]
    return [
        {"policy": policy, "framework": framework, "sentence": found.sentence, "more": found.more}
        for policy, framework, found in judged
        if found and found.more
    ]


def facts(config: dict) -> dict[str, list[tuple[str, str]]]:
    """Sort a configuration into small tables: one a nested object, and ``run`` for what isn't nested."""
    tables: dict[str, list[tuple[str, str]]] = {"run": []}
    for key, value in config.items():
        if isinstance(value, dict):
            tables[key] = [(name, _shown(inner)) for name, inner in value.items()]
        else:
            tables["run"].append((key, _shown(value)))
    return {name: rows for name, rows in tables.items() if rows}


def data(config: dict) -> list[str]:
    """Name the images, and the classes, the positive one last."""
    own = config.get("data")
    if not isinstance(own, dict):
        return []
    return [f"data: {_shown(own.get('name'))}", f"classes: {_shown(own.get('classes'))}"]


def _explained(group: Group) -> list[tuple[str, str, Explained]]:
    return [
        (policy, framework, explained)
        for policy, row in group.rows.items()
        for framework in group.frameworks
        if framework in row and (explained := row[framework].last_explained)
    ]


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return value if isinstance(value, str) else json.dumps(value)
