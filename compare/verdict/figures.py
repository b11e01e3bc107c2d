"""What a model reported in fit and in evaluate, and why the two part: what a judgement is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from compare.diagnosis.records import BETWEEN, STORED, Finding
from compare.gap.records import METRICS, TERMS, Explanation, LayerDrift, Metric
from compare.words import Tone

# Healthy training evaluates below fit, for dropout is off then: 0 would already be suspicious. What is left to
# chance is one standard error: a loss scatters by about 0.6 from sample to sample, and so does an answer where one
# in three is another. Over one epoch of some 900 samples that is 0.02, in nats and, as 2 points, in accuracy; less
# than that is never called a gap. Over 40 samples it is 0.09, or between three and four of them.
GAP = 0.02
SCATTER = 0.6


@dataclass(frozen=True)
class Figures:
    """Evaluate minus fit, on the same samples; of several trainings that differ in their seed alone, or of one.

    Attributes:
        mean_gaps: metric -> seed -> the difference, averaged over the epochs. The loss is always there.
        last_gaps: the same in the last epoch.
        samples: how many an epoch shows, so how many each figure is of; None where nobody said.
        validation: accuracy on the validation samples in the last epoch; None where there are none.
    """

    mean_gaps: Mapping[Metric, Mapping[int, float]]
    last_gaps: Mapping[Metric, Mapping[int, float]]
    samples: int | None = None
    validation: float | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that there are, the loss first."""
        return tuple(metric for metric in METRICS if metric in self.mean_gaps)

    def mean_gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit, averaged over the epochs and the seeds."""
        return fmean(self.mean_gaps[metric].values())

    def gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit in the last epoch, averaged over the seeds."""
        return fmean(self.last_gaps[metric].values())

    @property
    def least(self) -> float:
        """The least difference that isn't put down to chance, of loss or of accuracy."""
        return least(self.samples * len(self.mean_gaps["loss"])) if self.samples else GAP

    def tone(self, difference: float, metric: Metric) -> Tone:
        """Whether a difference is worse or better than chance makes it; one that isn't a number is worse."""
        by = worse(difference, metric)
        return "worse" if not by <= self.least else "well" if by < -self.least else ""

    def parting(self, differences: Mapping[Metric, float]) -> list[Metric]:
        """The metrics in which evaluate is worse than chance makes it, the loss first."""
        return [m for m in METRICS if m in differences and self.tone(differences[m], m) == "worse"]

    @property
    def parts_at_last(self) -> list[Metric]:
        """The metrics in which it is so in the last epoch."""
        return self.parting({metric: self.gap(metric) for metric in self.metrics})


@dataclass(frozen=True)
class Beside:
    """A training that trains as much and normalises alike in fit and evaluate: what dropout alone does.

    Attributes:
        name: what people know it by.
    """

    name: str
    figures: Figures


def least(samples: int) -> float:
    """The least difference of so many samples that isn't put down to chance, of loss or of accuracy."""
    return max(GAP, SCATTER / math.sqrt(samples))


def worse(difference: float, metric: Metric) -> float:
    """By how much evaluate is worse than fit."""
    return difference if metric == "loss" else -difference


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
        own = {n: None for entry in self.entries.values() for terms in entry.terms.values() for n in terms}
        return [*(name for name in TERMS if name in own), *(name for name in own if name not in TERMS)]

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

    @property
    def off(self) -> list[str]:
        """The terms that come from what the BN layers have stored."""
        return [name for name in self.terms if name in STORED]

    @property
    def of_bn(self) -> list[str]:
        """The terms that BN makes."""
        return [name for name in self.terms if name in (*BETWEEN, *STORED)]

    def stored(self) -> float:
        """How far evaluation's loss with what is stored is from that with the mean of the batches' statistics."""
        return math.fsum(self.term(name) for name in self.off)

    def uncertainty(self, term: str, metric: Metric = "loss") -> float:
        """How much a term depends on the order in which dropout and BN are switched: half of what it is at most."""
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

    @property
    def findings(self) -> list[Finding]:
        """What was found, the most harmful first: of the first seed, for evidence and cure are one training's."""
        first = next(iter(self.entries.values()), None)
        return [found for found in first.diagnosis.findings if found.cause != "none"] if first else []

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
        """The part of the gap that goes where a stage alone gets the population's statistics."""
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
    return term.replace("-", " ")
