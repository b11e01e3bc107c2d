"""A run as tables, each cell of them judged: what the terminal, the page, the JSON and a comparison show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from compare.frameworks import FRAMEWORKS, called
from compare.gap.records import METRICS, CellResult, Epoch, Metric, Part
from compare.spec import BACKBONES, DECAY, NAMES, NUMERICS, POLICIES, Behaviour, Policy
from compare.verdict.figures import Beside, Explained, Figures
from compare.verdict.judge import NOTHING, Judgement, judge
from compare.verdict.seeds import Difference, Estimate, estimate, side_by_side
from compare.words import Span, join

COUNTS = ("tp", "fp", "tn", "fn")


@dataclass(frozen=True)
class Entry:
    """One policy in one framework: its seeds, averaged over those that finished, and what their gap comes to.

    Attributes:
        first, last, best: why the gap is there at the earliest explained epoch of each seed, at its last and at its
            best one.
        judgement: what its gap comes to; None where no seed finished.
    """

    finished: tuple[CellResult, ...] = ()
    failed: tuple[CellResult, ...] = ()
    first: Explained = NOTHING
    last: Explained = NOTHING
    best: Explained = NOTHING
    judgement: Judgement | None = None

    def ending(self, part: Part, metric: Metric) -> float:
        """The figure of the last epoch trained."""
        return fmean(cell.history[-1].part(part)[metric] for cell in self.finished)

    def average(self, part: Part, metric: Metric) -> float:
        """The figure averaged over the epochs."""
        return fmean(fmean(epoch.part(part)[metric] for epoch in cell.history) for cell in self.finished)

    def gap(self, metric: Metric = "loss") -> Estimate | None:
        """Evaluate minus fit in the last epoch."""
        return estimate(list(self.judgement.figures.last_gaps[metric].values())) if self.judgement else None

    @property
    def failure(self) -> str:
        """Why cells failed, in one line; empty where none did."""
        reasons = "; ".join(dict.fromkeys(cell.ending for cell in self.failed))
        if not self.finished:
            return reasons
        total = len(self.failed) + len(self.finished)
        return f"{len(self.failed)} of {total} seeds {reasons}" if self.failed else ""


@dataclass(frozen=True)
class Table:
    """The cells that are compared: same backbone, same numerics; ``rows[policy][framework]``.

    Attributes:
        release: the old Keras whose arithmetic both frameworks took over; empty for their own.
    """

    backbone: str
    numerics: str
    frameworks: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Entry]]
    release: str = ""

    @property
    def name(self) -> str:
        """Short and fit for a file name or an anchor."""
        return f"{self.backbone}-{self.numerics}"

    @property
    def heading(self) -> str:
        """What is compared; an old Keras's arithmetic takes the place of the frameworks' own."""
        how = f"as {self.release}" if self.release else f"{self.numerics} numerics"
        return f"{NAMES[self.backbone]}, {how}"

    @property
    def labels(self) -> dict[str, str]:
        """What people call the frameworks, by name."""
        return called(self.frameworks)

    @property
    def has_bn(self) -> bool:
        """Whether there is any batch normalisation."""
        return BACKBONES[self.backbone].has_bn

    @property
    def seeds(self) -> int:
        """The largest number of seeds that any figure is an average of."""
        return max(len(entry.finished) for row in self.rows.values() for entry in row.values())

    @property
    def entries(self) -> list[tuple[str, str, Entry]]:
        """Policy, framework and entry of each, in the table's order."""
        return [
            (policy, framework, row[framework])
            for policy, row in self.rows.items()
            for framework in self.frameworks
            if framework in row
        ]

    def tests(self, metric: Metric = "loss") -> list[list[Difference]]:
        """Paired tests of the mean gap: a block of the frameworks, and one of the policies of each framework."""
        gaps = {
            (policy, framework): entry.judgement.figures.mean_gaps[metric]
            for policy, framework, entry in self.entries
            if entry.judgement
        }
        own = {p: {f: gaps[p, f] for f in self.frameworks if (p, f) in gaps} for p in self.rows}
        blocks = [side_by_side(own)]
        for framework in self.frameworks:
            policies = {p: gaps[p, framework] for p in self.rows if (p, framework) in gaps}
            blocks.append(side_by_side({framework: policies}))
        return blocks


def tabulate(config: dict, cells: Iterable[CellResult]) -> list[Table]:
    """Sort cells into tables, in the order of `compare.spec`'s lists, and judge each policy in each framework.

    Args:
        config: the run's ``config.json``.
        cells: its results.
    """
    cells = list(cells)
    tables = []
    for backbone in BACKBONES:
        for numerics in NUMERICS:
            own = [cell for cell in cells if (cell.backbone, cell.numerics) == (backbone, numerics)]
            if own:
                frameworks = tuple(name for name in FRAMEWORKS if any(c.framework == name for c in own))
                release = str(_settings(config).get("release") or "")
                rows = _judged(_rows(own), backbone, numerics, _whose(config))
                tables.append(Table(backbone, numerics, frameworks, rows, release))
    return tables


def sentences(row: Mapping[str, Entry], labels: Mapping[str, str] | None = None) -> list[tuple[Span, ...]]:
    """A row's judgements, a sentence each; what holds for all frameworks is said once, without their names.

    Args:
        labels: what people call the frameworks; None calls them as if there were no others.
    """
    labels = called(row) if labels is None else labels
    said: dict[tuple[Span, ...], list[str]] = {}
    for framework, entry in row.items():
        text = entry.judgement.sentence if entry.judgement else (Span("failed"),)
        said.setdefault(text, []).append(framework)
    return [
        text
        if set(own) == set(row) and row[own[0]].judgement
        else (Span(f"{join(labels[name] for name in own)}: "), *text)
        for text, own in said.items()
    ]


def _rows(cells: Sequence[CellResult]) -> dict[str, dict[str, Entry]]:
    rows: dict[str, dict[str, list[CellResult]]] = {}
    rank = list(POLICIES).index
    for cell in sorted(cells, key=lambda cell: (rank(cell.policy), cell.framework, cell.seed)):
        rows.setdefault(cell.policy, {}).setdefault(cell.framework, []).append(cell)
    return {policy: {name: _entry(own) for name, own in row.items()} for policy, row in rows.items()}


def _entry(cells: Sequence[CellResult]) -> Entry:
    finished = tuple(cell for cell in cells if cell.finished)
    return Entry(
        finished,
        tuple(cell for cell in cells if not cell.finished),
        _explained(finished, lambda cell: min((own.epoch for own in cell.explanations), default=0)),
        _explained(finished, lambda cell: cell.history[-1].epoch),
        _explained(finished, lambda cell: cell.best_epoch),
    )


def _explained(cells: Sequence[CellResult], which: Callable[[CellResult], int]) -> Explained:
    return Explained(
        {cell.seed: entry for cell in cells for entry in cell.explanations if entry.epoch == which(cell)}
    )


def _figures(cells: Sequence[CellResult]) -> Figures:
    return Figures(
        mean_gaps={metric: {cell.seed: cell.mean_gap(metric) for cell in cells} for metric in METRICS},
        last_gaps={metric: {cell.seed: cell.history[-1].gap(metric) for cell in cells} for metric in METRICS},
        samples=_samples(cells[0].history[-1]),
        validation=fmean(cell.history[-1].val["accuracy"] for cell in cells),
    )


def _samples(epoch: Epoch) -> int | None:
    """How many samples an epoch's figures are of; None where it doesn't say, nor its figures count them."""
    if epoch.samples is not None:
        return epoch.samples
    counted = [epoch.evaluate[name] for name in COUNTS if name in epoch.evaluate]
    return round(sum(counted)) if len(counted) == len(COUNTS) else None


def _judged(
    rows: dict[str, dict[str, Entry]], backbone: str, numerics: str, whose: str
) -> dict[str, dict[str, Entry]]:
    """Judge what finished; the only place where a run's judgements are made."""
    figures = {
        name: {key: _figures(entry.finished) for key, entry in row.items() if entry.finished}
        for name, row in rows.items()
    }

    def judged(name: str, framework: str, entry: Entry) -> Entry:
        own = figures[name].get(framework)
        if own is None:
            return entry
        behaviour = _behaviour(POLICIES[name], backbone, DECAY[numerics][FRAMEWORKS[framework].side])
        beside = _beside(figures, POLICIES[name], framework)
        return replace(entry, judgement=judge(behaviour, own, entry.last, entry.best, beside, whose))

    return {name: {key: judged(name, key, entry) for key, entry in row.items()} for name, row in rows.items()}


def _behaviour(policy: Policy, backbone: str, decay: float) -> Behaviour | None:
    return replace(policy.behaviour, decay=decay) if BACKBONES[backbone].has_bn else None


def _beside(figures: dict[str, dict[str, Figures]], policy: Policy, framework: str) -> Beside | None:
    """Another policy that trains as much and has the moving statistics in fit and evaluate, as they came."""
    for name, other in POLICIES.items():
        own = figures.get(name, {}).get(framework)
        alike = other.fit_statistics == other.evaluate_statistics == "moving" and other.reestimate is None
        if own and alike and name != policy.name and other.behaviour.frozen == policy.behaviour.frozen:
            return Beside(name, own)
    return None


def _whose(config: dict) -> str:
    """The data that the backbone's statistics came from, as far as the run's configuration says."""
    weights = config.get("weights")
    if isinstance(weights, dict):
        weights = weights.get("source", "")
    source = str(weights or _settings(config).get("weights", ""))
    return "ImageNet's" if "imagenet" in source.lower() else "the pretrained data's"


def _settings(config: dict) -> dict:
    """The settings that the run's cells share, as far as its configuration says."""
    settings = config.get("settings")
    return settings if isinstance(settings, dict) else {}
