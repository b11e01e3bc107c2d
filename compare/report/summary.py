"""A run as it lies on the disk, and its figures: what the table, the curves and the sentences are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Literal

from compare.spec import BACKBONES, FRAMEWORKS, NUMERICS, POLICIES, InputError

Metric = Literal["loss", "accuracy"]
Part = Literal["fit", "evaluate", "val"]


@dataclass(frozen=True)
class Run:
    """What a run directory holds: its ``config.json``, its cells, and a line for each file that can't be used."""

    folder: Path
    config: dict
    cells: list[dict]
    warnings: list[str]


@dataclass(frozen=True)
class Figures:
    """One policy in one framework: figures are averages over the seeds that finished."""

    finished: list[dict] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)

    def last(self, part: Part, metric: Metric) -> float:
        """The figure of the last epoch trained."""
        return fmean(cell["history"][-1][part][metric] for cell in self.finished)

    def gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit, on the same samples, in the last epoch."""
        return self.last("evaluate", metric) - self.last("fit", metric)

    def mean_gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit, on the same samples, averaged over the epochs of each seed."""
        return fmean(
            fmean(epoch["evaluate"][metric] - epoch["fit"][metric] for epoch in cell["history"])
            for cell in self.finished
        )

    @property
    def failure(self) -> str:
        """Why cells failed, in one line; empty where none did."""
        reasons = "; ".join(dict.fromkeys(cell["status"] for cell in self.failed))
        if not self.finished:
            return reasons
        total = len(self.failed) + len(self.finished)
        return f"{len(self.failed)} of {total} seeds {reasons}" if self.failed else ""


@dataclass(frozen=True)
class Group:
    """The cells that one table compares: same backbone, same numerics; ``rows[policy][framework]``."""

    backbone: str
    numerics: str
    frameworks: tuple[str, ...]
    rows: dict[str, dict[str, Figures]]
    weights: str = ""

    @property
    def name(self) -> str:
        """Short and fit for a file name or an anchor."""
        return f"{self.backbone}-{self.numerics}"

    @property
    def seeds(self) -> int:
        """The largest number of seeds that any figure is an average of."""
        return max(len(figures.finished) for row in self.rows.values() for figures in row.values())


def load_run(folder: Path) -> Run:
    """Read a run directory, and go on without the files that can't be used.

    Raises:
        InputError: there is no such folder, or nothing in it can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"run directory {str(folder)!r} doesn't exist")
    warnings: list[str] = []
    config = _read(folder, folder / "config.json", _check_config, warnings) or {}
    paths = sorted(folder.glob("cells/*/cell.json"))
    cells = [cell for path in paths if (cell := _read(folder, path, _check_cell, warnings))]
    if not cells:
        why = f" ({warnings[-1]})" if warnings else ""
        raise InputError(f"run directory {str(folder)!r} holds no cell that has ended{why}")
    expected = {path.name for path in folder.glob("cells/*")} | set(map(str, config.get("cells") or []))
    missing = sorted(expected - {path.parent.name for path in paths})
    if missing:
        warnings.append(f"{len(missing)} of {len(expected)} cells have no result (yet): {', '.join(missing)}")
    return Run(folder, config, cells, warnings)


def groups(config: dict, cells: Iterable[dict]) -> list[Group]:
    """Sort cells into tables, in the order of `compare.spec`'s lists."""
    cells = list(cells)
    found = []
    for backbone in BACKBONES:
        for numerics in NUMERICS:
            own = [cell for cell in cells if (cell["backbone"], cell["numerics"]) == (backbone, numerics)]
            if own:
                frameworks = tuple(name for name in FRAMEWORKS if any(c["framework"] == name for c in own))
                found.append(Group(backbone, numerics, frameworks, _rows(own), _weights(config)))
    return found


def _rows(cells: list[dict]) -> dict[str, dict[str, Figures]]:
    rows: dict[str, dict[str, Figures]] = {}
    rank = list(POLICIES).index
    for cell in sorted(cells, key=lambda cell: (rank(cell["policy"]), cell["framework"], cell["seed"])):
        figures = rows.setdefault(cell["policy"], {}).setdefault(cell["framework"], Figures())
        (figures.finished if cell["status"] == "finished" else figures.failed).append(cell)
    return rows


def _weights(config: dict) -> str:
    """Where the backbone's weights are from, as far as the run's configuration says."""
    weights = config.get("weights") or (config.get("settings") or {}).get("weights", "")
    return str(weights.get("source", "")) if isinstance(weights, dict) else str(weights)


def _read(folder: Path, path: Path, check, warnings: list[str]) -> dict | None:
    name = path.relative_to(folder)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        warnings.append(f"{name} is missing")
    except (OSError, ValueError) as error:
        warnings.append(f"{name} can't be read: {' '.join(str(error).split())}")
    else:
        problem = check(found)
        if not problem:
            return found
        warnings.append(f"{name} isn't one of this program's: {problem}")
    return None


def _check_config(config) -> str:
    return "" if isinstance(config, dict) else "not an object"


def _check_cell(cell) -> str:
    if not isinstance(cell, dict):
        return "not an object"
    known = {"framework": FRAMEWORKS, "backbone": BACKBONES, "policy": POLICIES, "numerics": NUMERICS}
    for key, allowed in known.items():
        if not isinstance(cell.get(key), str) or cell[key] not in allowed:
            return f"{key} is {cell.get(key)!r}"
    if not isinstance(cell.get("seed"), int) or not isinstance(cell.get("status"), str):
        return "no seed or no status"
    history = cell.get("history")
    if not isinstance(history, list) or not all(_is_epoch(epoch) for epoch in history):
        return "its history has an epoch without loss and accuracy"
    if cell["status"] == "finished" and not history:
        return "finished without an epoch"
    return ""


def _is_epoch(epoch) -> bool:
    try:
        figures = [
            epoch[part][metric] for part in ("fit", "evaluate", "val") for metric in ("loss", "accuracy")
        ]
        return isinstance(epoch["epoch"], int) and all(isinstance(figure, int | float) for figure in figures)
    except (KeyError, TypeError):
        return False
