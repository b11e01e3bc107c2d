"""A run's figures, terms, tests and verdicts as JSON can hold them: what ``--json`` prints."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from compare.spec import POLICIES
from compare.verdict.answer import answer
from compare.verdict.explained import METRICS, Explained
from compare.verdict.figures import Group, Part, groups
from compare.verdict.seeds import Difference, between_frameworks, between_policies, estimate
from compare.verdict.with_terms import verdict

PARTS: tuple[Part, ...] = ("fit", "evaluate", "val")


def record(config: dict, cells: Iterable[dict]) -> list[dict]:
    """Make a list of tables, one a backbone and numerics; what isn't a number (NaN, infinity) is null."""
    return [_finite(_group(group)) for group in groups(config, cells)]


def _group(group: Group) -> dict:
    return {
        "backbone": group.backbone,
        "numerics": group.numerics,
        "answer": answer(group),
        "rows": [
            {"policy": policy, "framework": framework, **_row(group, policy, framework)}
            for policy, row in group.rows.items()
            for framework in row
        ],
        "tests": [
            _test(test, metric)
            for metric in METRICS
            for tests in (
                between_frameworks(group, metric),
                *(between_policies(group, framework, metric) for framework in group.frameworks),
            )
            for test in tests
        ],
    }


def _row(group: Group, policy: str, framework: str) -> dict:
    figures = group.rows[policy][framework]
    row: dict[str, Any] = {
        "seeds": [cell["seed"] for cell in figures.finished],
        "failed": {cell["seed"]: cell["status"] for cell in figures.failed},
    }
    if not figures.finished:
        return row
    row |= {part: {metric: figures.last(part, metric) for metric in METRICS} for part in PARTS}
    row["gap"] = {metric: _estimate(figures.gaps(metric)) for metric in METRICS}
    row["mean_gap"] = {metric: _estimate(figures.mean_gaps(metric)) for metric in METRICS}
    row["explained"] = {
        which: _explained(explained)
        for which, explained in (("last", figures.last_explained), ("best", figures.best_explained))
        if explained
    }
    row["verdict"] = _verdict(group, policy, framework)
    return row


def _explained(explained: Explained) -> dict:
    return {
        "epochs": explained.epochs,
        "terms": {
            metric: {
                name: _estimate(explained.values(name, metric)) | {"uncertainty": explained.uncertainty(name, metric)}
                for name in explained.terms
            }
            for metric in METRICS
        },
        "stages": {metric: explained.stages(metric) for metric in METRICS},
        "worst_layer": explained.worst,
    }  # fmt: skip


def _verdict(group: Group, policy: str, framework: str) -> dict | None:
    found = verdict(POLICIES[policy], group, framework)
    if found is None:
        return None
    cures = [{"what": cure.what, "code": cure.code[framework]} for cure in found.cures]
    return {
        "finding": found.finding,
        "cause": found.cause or None,
        "sentence": found.sentence,
        "more": list(found.more),
        "cures": cures,
    }


def _estimate(values: dict[int, float]) -> dict:
    found = estimate(list(values.values()))
    return {"mean": found.mean, "interval": _interval(found.mean, found.half)}


def _test(test: Difference, metric: str) -> dict:
    return {
        "metric": metric,
        "within": test.within,
        "a": test.a,
        "b": test.b,
        "mean_gap_difference": test.gap.mean,
        "interval": _interval(test.gap.mean, test.gap.half),
        "seeds": test.gap.seeds,
        "p": test.p,
    }


def _interval(mean: float, half: float | None) -> list[float] | None:
    return None if half is None else [mean - half, mean + half]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
