"""A run's CSV files, as text made from the cells' results: the same results give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from compare.cells.work import Timing
from compare.gap.records import METRICS, PARTS, CellResult, Epoch, Explanation

# of an epoch, where there are two classes
FIGURES = (
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
EPOCH = (*CELL, "epoch", "learning_rate")
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


def results(cells: Iterable[CellResult]) -> str:
    """Make ``results.csv``: a row a cell, of the last epoch trained; empty where there is none."""
    return _csv(RESULTS, map(_result, cells))


def history(cells: Iterable[CellResult]) -> str:
    """Make ``history.csv``: a row an epoch. Of more than two classes there are other figures."""
    cells = list(cells)
    figures = next((_figures(epoch) for cell in cells for epoch in cell.history), FIGURES)
    columns = (*EPOCH, *(f"{part}_{figure}" for part in PARTS for figure in figures))
    return _csv(columns, (_epoch(cell, epoch, figures) for cell in cells for epoch in cell.history))


def gap(cells: Iterable[CellResult]) -> str:
    """Make ``gap.csv``: a row a term of an explained epoch's gap."""
    return _csv(
        GAP,
        (
            place | {"metric": metric, "term": name, "value": term.value, "uncertainty": term.uncertainty}
            for place, explanation in _explanations(cells)
            for metric, terms in explanation.terms.items()
            for name, term in terms.items()
        ),
    )


def layers(cells: Iterable[CellResult]) -> str:
    """Make ``layers.csv``: a row a BN layer at an explained epoch."""
    return _csv(
        LAYERS,
        (
            place
            | asdict(layer)
            | {
                f"{drift}_{part}": getattr(getattr(layer, drift), part)
                for drift in DRIFTS
                for part in SUMMARY
            }
            for place, explanation in _explanations(cells)
            for layer in explanation.layers
        ),
    )


def stages(cells: Iterable[CellResult]) -> str:
    """Make ``stages.csv``: a row a stage, with what population statistics in it alone take off the gap."""
    return _csv(
        STAGES,
        (
            place | {"metric": metric, "stage": stage, "value": value}
            for place, explanation in _explanations(cells)
            for stage, figures in explanation.stages.items()
            for metric, value in figures.items()
        ),
    )


def timing(timings: Mapping[str, Timing]) -> str:
    """Make ``timing.csv``: a row a cell; what differs from one run to the next."""
    return _csv(TIMING, ({"cell": name, **asdict(timing)} for name, timing in timings.items()))


def _explanations(cells: Iterable[CellResult]) -> Iterator[tuple[dict[str, Any], Explanation]]:
    for cell in cells:
        for explanation in cell.explanations:
            yield _place(cell) | {"epoch": explanation.epoch}, explanation


def _place(cell: CellResult) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in CELL}


def _result(cell: CellResult) -> dict[str, Any]:
    row = _place(cell) | {"epochs": cell.epochs, "best_epoch": cell.best_epoch, "status": cell.ending}
    for metric in METRICS:
        row[f"fresh_{metric}"] = cell.fresh.get(metric)
        if cell.history:
            last = cell.history[-1]
            row |= {f"{part}_{metric}": last.part(part)[metric] for part in PARTS}
            row |= {f"gap_{metric}": last.gap(metric), f"mean_gap_{metric}": cell.mean_gap(metric)}
    return row


def _figures(epoch: Epoch) -> tuple[str, ...]:
    """The figures of an epoch: the loss first, what is said of each class last, in the order of the classes."""
    if set(FIGURES) <= epoch.fit.keys():
        return FIGURES

    def place(name: str) -> tuple:
        figure, _, number = name.rpartition("_")
        return (1, int(number), figure) if number.isdecimal() else (0, 0, "" if name == "loss" else name)

    return tuple(sorted(epoch.fit, key=place))


def _epoch(cell: CellResult, epoch: Epoch, figures: tuple[str, ...]) -> dict[str, Any]:
    row = _place(cell) | {"epoch": epoch.epoch, "learning_rate": epoch.learning_rate}
    return row | {f"{part}_{name}": epoch.part(part).get(name) for part in PARTS for name in figures}


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
