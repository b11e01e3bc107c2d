"""Of more than two classes: what a training finds of each on the validation images."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from compare.gap.records import CellResult
from compare.report.rows import Table

# of all classes together, as the wings' metrics call them, and in words
MACRO = {
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "mean precision",
    "macro_f1": "macro F1",
}
OF_EACH = {"recall": "found", "precision": "right"}


def by_class(table: Table, config: dict) -> dict[str, Any] | None:
    """A row for each policy and framework, a column a class; None where there are two classes.

    The figures are of the last epoch, averaged over the seeds.

    Args:
        config: the run's, which names the classes.
    """
    rows = [row for row in table.entries if row[2].finished]
    count = max((_classes(entry.finished) for _, _, entry in rows), default=0)
    if not count:
        return None
    return {
        "classes": _names(config, count),
        "macro": list(MACRO.values()),
        "rows": [
            {
                "policy": policy,
                "framework": framework,
                "macro": [_mean(entry.finished, name) for name in MACRO],
                "each": [
                    {word: _mean(entry.finished, f"{name}_{k}") for name, word in OF_EACH.items()}
                    for k in range(count)
                ],
            }
            for policy, framework, entry in rows
        ],
    }


def _classes(cells: Iterable[CellResult]) -> int:
    """How many classes have figures of their own."""
    names = {name for cell in cells for name in cell.history[-1].val}
    return sum(name.startswith("recall_") for name in names)


def _names(config: dict, count: int) -> list[str]:
    data = config.get("data")
    names = data.get("classes") if isinstance(data, dict) else None
    if isinstance(names, list) and len(names) == count:
        return [str(name) for name in names]
    return [f"class {number}" for number in range(count)]


def _mean(cells: Iterable[CellResult], name: str) -> float | None:
    """A figure of the validation images; None where a result doesn't have it."""
    found = [cell.history[-1].val[name] for cell in cells if name in cell.history[-1].val]
    return fmean(found) if found else None
