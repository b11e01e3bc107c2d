"""A run's figures, terms, tests and judgements as JSON can hold them: what ``--json`` prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from compare.frameworks import FRAMEWORKS
from compare.gap.records import METRICS, PARTS
from compare.report.answer import answer, headlines
from compare.report.rows import Entry, Table
from compare.verdict.figures import Drift, Explained
from compare.verdict.judge import Judgement
from compare.verdict.seeds import Difference, estimate
from compare.words import plain


def record(tables: Iterable[Table]) -> list[dict]:
    """Make a list of tables, one a backbone and numerics; what isn't a number (NaN, infinity) is null."""
    return [_finite(_table(table)) for table in tables]


def _table(table: Table) -> dict:
    return {
        "backbone": table.backbone,
        "numerics": table.numerics,
        "headlines": [" ".join(filter(None, (plain(line.says), line.why))) for line in headlines(table)],
        "answer": answer(table),
        "rows": [
            {"policy": policy, "framework": framework, **_row(entry, framework)}
            for policy, framework, entry in table.entries
        ],
        "tests": [_test(test, m) for m in METRICS for block in table.tests(m) for test in block],
    }


def _row(entry: Entry, framework: str) -> dict:
    row: dict[str, Any] = {
        "seeds": [cell.seed for cell in entry.finished],
        "failed": {cell.seed: cell.ending for cell in entry.failed},
    }
    if entry.judgement is None:
        return row
    figures = entry.judgement.figures
    row |= {part: {metric: entry.ending(part, metric) for metric in METRICS} for part in PARTS}
    row["gap"] = {metric: _estimate(figures.last_gaps[metric]) for metric in METRICS}
    row["mean_gap"] = {metric: _estimate(figures.mean_gaps[metric]) for metric in METRICS}
    both = (("last", entry.last), ("best", entry.best))
    row["explained"] = {which: _explained(explained) for which, explained in both if explained}
    row["verdict"] = _judgement(entry.judgement, framework)
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
        "findings": [finding.to_json() for finding in explained.findings],
        "stages": {metric: explained.stages(metric) for metric in METRICS},
        "worst_layer": _drift(explained.worst),
    }  # fmt: skip


def _drift(layer: Drift | None) -> dict | None:
    return vars(layer) if layer else None


def _judgement(judgement: Judgement, framework: str) -> dict:
    return {
        "finding": judgement.finding,
        "metric": judgement.metric,
        "source": judgement.source,
        "cause": judgement.cause or None,
        "measured": judgement.measured,
        "sentence": plain(judgement.sentence),
        "more": list(judgement.more),
        "cures": [
            {"what": cure.what, "code": cure.code[FRAMEWORKS[framework].side]} for cure in judgement.cures
        ],
    }


def _estimate(values: Mapping[int, float]) -> dict:
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
