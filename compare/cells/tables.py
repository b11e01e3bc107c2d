"""A run's CSV files, as text made from the cells' results: the same results give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from statistics import fmean

METRICS = (
    "loss",
    "cross_entropy",
    "brier_score",
    "tp",
    "fp",
    "tn",
    "fn",
    "accuracy",
    "precision",
    "recall",
    "auc",
    "prc",
)
PARTS = ("fit", "evaluate", "val")
CELL = ("framework", "backbone", "policy", "numerics", "seed")
RESULTS = (
    *CELL,
    "epochs",
    *(f"{part}_loss" for part in PARTS),
    *(f"{part}_accuracy" for part in PARTS),
    "gap_loss",
    "gap_accuracy",
    "status",
    "best_epoch",
    "mean_gap_loss",
    "mean_gap_accuracy",
    "fresh_loss",
    "fresh_accuracy",
)
HISTORY = (*CELL, "epoch", "learning_rate", *(f"{part}_{metric}" for part in PARTS for metric in METRICS))
GAP = (*CELL, "epoch", "metric", "term", "value", "uncertainty")
DRIFTS, SUMMARY = ("mean_drift", "log_variance_ratio", "kl"), ("median", "p95", "max")
LAYERS = (
    *CELL,
    *("epoch", "layer", "stage", "channels"),
    *(f"{drift}_{part}" for drift in DRIFTS for part in SUMMARY),
    *("decay", "steps", "steps_needed"),
)
STAGES = (*CELL, "epoch", "metric", "stage", "value")
TIMING = ("cell", "worker", "started", "seconds", "peak_memory_mb")


def results(cells: Iterable[dict]) -> str:
    """Make ``results.csv``: a row a cell, of the last epoch trained; empty where there is none."""
    return _csv(RESULTS, map(_result, cells))


def history(cells: Iterable[dict]) -> str:
    """Make ``history.csv``: a row an epoch."""
    return _csv(HISTORY, (_epoch(cell, epoch) for cell in cells for epoch in cell["history"]))


def gap(cells: Iterable[dict]) -> str:
    """Make ``gap.csv``: a row a term of an explained epoch's gap."""
    return _csv(
        GAP,
        (
            place | {"metric": metric, "term": term} | figures
            for place, explanation in _explanations(cells)
            for metric, terms in explanation["terms"].items()
            for term, figures in terms.items()
        ),
    )


def layers(cells: Iterable[dict]) -> str:
    """Make ``layers.csv``: a row a BN layer at an explained epoch."""
    return _csv(
        LAYERS,
        (
            place | layer | {f"{drift}_{part}": layer[drift][part] for drift in DRIFTS for part in SUMMARY}
            for place, explanation in _explanations(cells)
            for layer in explanation["layers"]
        ),
    )


def stages(cells: Iterable[dict]) -> str:
    """Make ``stages.csv``: a row a stage, with what population statistics in it alone take off the gap."""
    return _csv(
        STAGES,
        (
            place | {"metric": metric, "stage": stage, "value": value}
            for place, explanation in _explanations(cells)
            for stage, figures in explanation["stages"].items()
            for metric, value in figures.items()
        ),
    )


def _explanations(cells: Iterable[dict]) -> Iterator[tuple[dict, dict]]:
    for cell in cells:
        for explanation in cell.get("explanations", []):  # cells of earlier versions have none
            yield {name: cell[name] for name in CELL} | {"epoch": explanation["epoch"]}, explanation


def timing(rows: Iterable[dict]) -> str:
    """Make ``timing.csv``: a row a cell; what differs from one run to the next."""
    return _csv(TIMING, rows)


def _result(cell: dict) -> dict:
    row = {name: cell[name] for name in (*CELL, "epochs", "best_epoch", "status")}
    epochs = cell["history"]
    for metric in ("loss", "accuracy"):
        row[f"fresh_{metric}"] = cell["fresh"].get(metric)
        if epochs:
            gaps = [epoch["evaluate"][metric] - epoch["fit"][metric] for epoch in epochs]
            row |= {f"{part}_{metric}": epochs[-1][part][metric] for part in PARTS}
            row |= {f"gap_{metric}": gaps[-1], f"mean_gap_{metric}": fmean(gaps)}
    return row


def _epoch(cell: dict, epoch: dict) -> dict:
    row = {name: cell[name] for name in CELL}
    row |= {name: epoch[name] for name in ("epoch", "learning_rate")}
    return row | {f"{part}_{metric}": epoch[part][metric] for part in PARTS for metric in METRICS}


def _csv(columns: tuple[str, ...], rows: Iterable[dict]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _text(value: object) -> str:
    if value is None:
        return ""
    return format(value, ".9g") if isinstance(value, float) else str(value)
