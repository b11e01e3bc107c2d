"""Why fit and evaluate part in an epoch, averaged over the seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from compare.gap.records import TERMS, Explanation, LayerDrift, Metric

FURTHER = {"sample-mix": "another mix of samples"}


@dataclass(frozen=True)
class Drift:
    """A BN layer's moving statistics beside the population's: medians over its channels, averaged over the seeds.

    Attributes:
        layer, stage, decay, steps, steps_needed: as in `compare.gap.records.LayerDrift`.
        mean_drift: distance of the means, in standard deviations.
        log_variance_ratio: natural logarithm of the variances' ratio, without its sign.
        kl: Kullback-Leibler divergence, in nats.
    """

    layer: str
    stage: str
    decay: float | None
    steps: int
    steps_needed: int | None
    mean_drift: float
    log_variance_ratio: float
    kl: float


@dataclass(frozen=True)
class Explained:
    """One model's gap, explained at an epoch of each seed; figures are averages over the seeds.

    Attributes:
        entries: seed -> its explanation.
    """

    entries: Mapping[int, Explanation] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether any seed was explained."""
        return bool(self.entries)

    @property
    def terms(self) -> list[str]:
        """The terms, in the order in which they add up; those that not every explanation has come last."""
        own = {name: None for entry in self.entries.values() for name in entry.terms["loss"]}
        return [*TERMS, *(name for name in own if name not in TERMS)]

    @property
    def epochs(self) -> list[int]:
        """The epoch of each seed."""
        return [entry.epoch for entry in self.entries.values()]

    def values(self, term: str, metric: Metric = "loss") -> dict[int, float]:
        """A term of every seed; 0 where a seed hasn't got it."""
        found = {seed: entry.terms[metric].get(term) for seed, entry in self.entries.items()}
        return {seed: own.value if own else 0.0 for seed, own in found.items()}

    def term(self, term: str, metric: Metric = "loss") -> float:
        """A term."""
        return fmean(self.values(term, metric).values())

    def uncertainty(self, term: str, metric: Metric = "loss") -> float:
        """How much a term depends on the order in which dropout and BN are switched."""
        found = (entry.terms[metric].get(term) for entry in self.entries.values())
        return fmean(own.uncertainty if own else 0.0 for own in found)

    def gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit: what the terms add up to."""
        return math.fsum(self.term(name, metric) for name in self.terms)

    def gaps(self, metric: Metric = "loss") -> dict[int, float]:
        """Evaluate minus fit, seed by seed."""
        return {
            seed: math.fsum(term.value for term in entry.terms[metric].values())
            for seed, entry in self.entries.items()
        }

    def population(self, metric: Metric = "loss") -> float:
        """What evaluation gives with re-estimated statistics."""
        return fmean(entry.evaluations.population[metric] for entry in self.entries.values())

    def evaluate(self, metric: Metric = "loss") -> float:
        """What evaluation gives on fit's samples."""
        return fmean(entry.evaluations.evaluate[metric] for entry in self.entries.values())

    @property
    def penalty(self) -> float:
        """The part of the loss, fit's and evaluate's alike, that is a penalty on the weights."""
        return fmean(entry.penalty for entry in self.entries.values())

    def stages(self, metric: Metric = "loss") -> dict[str, float]:
        """The part of the term ``moving-statistics`` that goes where a stage alone gets the population's."""
        stages: dict[str, list[float]] = {}
        for entry in self.entries.values():
            for name, part in entry.stages.items():
                stages.setdefault(name, []).append(part[metric])
        return {name: fmean(parts) for name, parts in stages.items()}

    @property
    def layers(self) -> list[Drift]:
        """The BN layers in the order of the network."""
        rows: dict[str, list[LayerDrift]] = {}
        for entry in self.entries.values():
            for row in entry.layers:
                rows.setdefault(row.layer, []).append(row)
        return [_averaged(own) for own in rows.values()]

    @property
    def late(self) -> Drift | None:
        """The layer that lacks most update steps for its decay; None where none does."""
        late = [row for row in self.layers if row.steps_needed and row.steps < row.steps_needed]
        return max(late, key=lambda row: (row.steps_needed or 0) - row.steps, default=None)

    @property
    def worst(self) -> Drift | None:
        """The layer whose moving statistics are furthest from the population's, by the divergence."""
        return max(self.layers, key=lambda row: row.kl, default=None)


def _averaged(seeds: list[LayerDrift]) -> Drift:
    first = seeds[0]
    return Drift(
        first.layer,
        first.stage,
        first.decay,
        first.steps,
        first.steps_needed,
        fmean(row.mean_drift.median for row in seeds),
        fmean(row.log_variance_ratio.median for row in seeds),
        fmean(row.kl.median for row in seeds),
    )


def label(term: str) -> str:
    """A term as people say it."""
    return FURTHER.get(term, term.replace("-", " "))
