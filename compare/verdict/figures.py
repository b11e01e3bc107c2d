"""A run's figures: what the table, the curves and the sentences are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from compare.spec import BACKBONES, FRAMEWORKS, NUMERICS, POLICIES
from compare.verdict.explained import Explained, Metric, usable

Part = Literal["fit", "evaluate", "val"]


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
        return fmean(self.mean_gaps(metric).values())

    def mean_gaps(self, metric: Metric = "loss") -> dict[int, float]:
        """Evaluate minus fit, averaged over the epochs, seed by seed."""
        return {
            cell["seed"]: fmean(epoch["evaluate"][metric] - epoch["fit"][metric] for epoch in cell["history"])
            for cell in self.finished
        }

    def gaps(self, metric: Metric = "loss") -> dict[int, float]:
        """Evaluate minus fit in the last epoch, seed by seed."""
        last = {cell["seed"]: cell["history"][-1] for cell in self.finished}
        return {seed: epoch["evaluate"][metric] - epoch["fit"][metric] for seed, epoch in last.items()}

    @property
    def last_explained(self) -> Explained:
        """The explanation of each seed's last epoch."""
        return self._explained(lambda cell: cell["history"][-1]["epoch"])

    @property
    def best_explained(self) -> Explained:
        """The explanation of each seed's best epoch."""
        return self._explained(lambda cell: cell.get("best_epoch"))

    @property
    def first_explained(self) -> Explained:
        """The explanation of the earliest epoch of each seed that has one."""
        return self._explained(lambda cell: min((e["epoch"] for e in cell["explanations"]), default=0))

    def _explained(self, which: Callable[[dict], int | None]) -> Explained:
        return Explained(
            {
                cell["seed"]: entry
                for cell in self.finished
                for entry in cell["explanations"]
                if entry["epoch"] == which(cell)
            }
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
    release: str = ""

    @property
    def name(self) -> str:
        """Short and fit for a file name or an anchor."""
        return f"{self.backbone}-{self.numerics}"

    @property
    def source(self) -> str:
        """Whose statistics the backbone came with."""
        return "ImageNet's" if "imagenet" in self.weights.lower() else "the pretrained data's"

    @property
    def seeds(self) -> int:
        """The largest number of seeds that any figure is an average of."""
        return max(len(figures.finished) for row in self.rows.values() for figures in row.values())


def groups(config: dict, cells: Iterable[dict]) -> list[Group]:
    """Sort cells into tables, in the order of `compare.spec`'s lists."""
    cells = [cell | {"explanations": usable(cell)} for cell in cells]
    found = []
    for backbone in BACKBONES:
        for numerics in NUMERICS:
            own = [cell for cell in cells if (cell["backbone"], cell["numerics"]) == (backbone, numerics)]
            if own:
                frameworks = tuple(name for name in FRAMEWORKS if any(c["framework"] == name for c in own))
                of_run = _weights(config), str(_settings(config).get("release") or "")
                found.append(Group(backbone, numerics, frameworks, _rows(own), *of_run))
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
    weights = config.get("weights")
    if isinstance(weights, dict):
        return str(weights.get("source", ""))
    return str(weights or _settings(config).get("weights", ""))


def _settings(config: dict) -> dict:
    """The settings that the run's cells share, as far as its configuration says."""
    settings = config.get("settings")
    return settings if isinstance(settings, dict) else {}
