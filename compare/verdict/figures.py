"""What a model reported in fit and in evaluate: the differences that a judgement is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from compare.gap.records import METRICS, Metric


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
    def judged_on(self) -> int | None:
        """How many samples the averages over the seeds are of."""
        return None if self.samples is None else self.samples * len(self.mean_gaps["loss"])


@dataclass(frozen=True)
class Beside:
    """A training that trains as much and normalises alike in fit and evaluate: what dropout alone does.

    Attributes:
        name: what people know it by.
    """

    name: str
    figures: Figures
