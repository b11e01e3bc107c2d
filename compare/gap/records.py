"""What a training leaves, as records: its epochs, why its gap is there, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean
from typing import Literal

from compare.diagnosis.records import BETWEEN, STORED, Diagnosis, Term
from compare.spec import Cell

Metric = Literal["loss", "accuracy"]
METRICS: tuple[Metric, ...] = ("loss", "accuracy")
Part = Literal["fit", "evaluate", "val"]
PARTS: tuple[Part, ...] = ("fit", "evaluate", "val")
# terms in the order in which they add up from fit to evaluate; any others come last
TERMS = ("weights-moved", "dropout", *BETWEEN, *STORED)

Figures = Mapping[str, float]  # of one pass: a metric's name -> its value

FINITE = {"allow_inf_nan": False}  # a record with this config is refused where a figure of it isn't a number


class Status(StrEnum):
    """How a cell ended."""

    FINISHED = "finished"
    # the loss; it won't be finite the next time either
    NOT_FINITE = "not finite"
    # the process that it ran in
    DIED = "died"
    # with an error
    FAILED = "failed"


@dataclass(frozen=True)
class Epoch:
    """An epoch's figures.

    Attributes:
        epoch: its number, from 1.
        fit: what training reported, averaged over the epoch while the weights moved.
        evaluate: on the same samples, at the epoch's end.
        val: on the validation images.
        samples: how many the epoch trained on; None in results of earlier versions.
    """

    epoch: int
    learning_rate: float
    fit: Figures
    evaluate: Figures
    val: Figures
    samples: int | None = None

    def __post_init__(self) -> None:
        """Check that each part has the figures that everything else is made of."""
        for part in PARTS:
            absent = [metric for metric in METRICS if metric not in self.part(part)]
            if absent:
                raise ValueError(f"an epoch without loss and accuracy: {part} has no {absent[0]}")

    def part(self, part: Part) -> Figures:
        """The figures of a part."""
        return {"fit": self.fit, "evaluate": self.evaluate, "val": self.val}[part]

    def gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit, on the same samples."""
        return self.evaluate[metric] - self.fit[metric]


@dataclass(frozen=True)
class Evaluations:
    """Loss and accuracy of the passes between `fit` and `evaluate`, all on the samples that the epoch trained on.

    All but the first have the weights of the epoch's end.

    Attributes:
        fit: as `fit` reported it: weights moving, dropout on, BN as in `fit`.
        end_of_epoch: dropout on with the epoch's own masks, BN as in `fit`.
        without_dropout: dropout off, BN as in `fit`.
        population_with_dropout: dropout on, BN with the samples' population statistics. None in explanations of
            the first versions.
        population: dropout off, BN with the samples' population statistics.
        averages: dropout off, BN with the mean of the batches' statistics, which is what a moving average goes to.
            None in explanations of earlier versions, and where `fit` and `evaluate` normalise alike.
        evaluate: as `evaluate` does it.
        evaluate_reported: in some explanations of earlier versions what `evaluate` reported of other samples.
    """

    fit: Figures
    end_of_epoch: Figures
    without_dropout: Figures
    population_with_dropout: Figures | None
    population: Figures
    evaluate: Figures
    averages: Figures | None = None
    evaluate_reported: Figures | None = None

    __pydantic_config__ = FINITE

    def __post_init__(self) -> None:
        """Check that every pass that there was has loss and accuracy."""
        for name, figures in vars(self).items():
            absent = [metric for metric in METRICS if figures is not None and metric not in figures]
            if absent:
                raise ValueError(f"{name} has no {absent[0]}")


@dataclass(frozen=True)
class Spread:
    """A figure of every channel of a layer, in short."""

    median: float
    p95: float
    max: float

    __pydantic_config__ = FINITE


@dataclass(frozen=True)
class LayerDrift:
    """How far a BN layer's moving statistics lie from the samples' population statistics.

    Attributes:
        stage: the part of the network that the layer is in.
        mean_drift: distance of the means, in standard deviations.
        log_variance_ratio: absolute natural logarithm of the variances' ratio.
        kl: Kullback-Leibler divergence of the normal distributions, in nats.
        decay: share of the old moving value that a step keeps; None where steps weigh the same.
        steps: updates so far.
        steps_needed: updates until the statistics of before no longer count; None where there are no updates.
    """

    layer: str
    stage: str
    channels: int
    mean_drift: Spread
    log_variance_ratio: Spread
    kl: Spread
    decay: float | None
    steps: int
    steps_needed: int | None

    __pydantic_config__ = FINITE


@dataclass(frozen=True)
class Explanation:
    """Why `fit` and `evaluate` part in an epoch.

    Attributes:
        reason: why this epoch is explained: it is the ``best``, the ``last``, ``best and last``, or was ``asked``
            for.
        diagnosis: of the cell at the epoch's end, on the samples that the epoch trained on: the terms of the loss
            add up to evaluate minus fit. Of earlier versions there are its terms alone.
        accuracy: the terms of the accuracy.
        stages: stage -> what of the gap disappears where that stage alone gets the population statistics.
        layers: the BN layers, in the order of the network. Empty where `fit` and `evaluate` normalise alike.
        penalty: the weights' part of the loss, in both figures.
    """

    epoch: int
    reason: str
    evaluations: Evaluations
    diagnosis: Diagnosis
    accuracy: tuple[Term, ...]
    stages: Mapping[str, Figures]
    layers: tuple[LayerDrift, ...]
    penalty: float = 0.0

    __pydantic_config__ = FINITE

    def __post_init__(self) -> None:
        """Check that of each stage there are both figures."""
        for stage, part in self.stages.items():
            absent = [metric for metric in METRICS if metric not in part]
            if absent:
                raise ValueError(f"stage {stage} has no {absent[0]}")

    @property
    def terms(self) -> dict[Metric, dict[str, Term]]:
        """Metric -> a term's name -> the term."""
        both: dict[Metric, tuple[Term, ...]] = {"loss": self.diagnosis.terms, "accuracy": self.accuracy}
        return {metric: {term.term: term for term in own} for metric, own in both.items()}


@dataclass(frozen=True)
class CellResult(Cell):
    """What a cell ended with.

    Attributes:
        status: how it ended.
        reason: why it didn't finish, in words; empty where it did.
        epochs: how many it trained.
        best_epoch: the one with the least val_loss; 0 where there is none.
        history: the epochs.
        fresh: evaluated at the end on batches that it didn't train on; empty where there was no end.
        explanations: of some of its epochs, the earliest first.
    """

    status: Status
    reason: str = ""
    epochs: int = 0
    best_epoch: int = 0
    history: tuple[Epoch, ...] = ()
    fresh: Figures = field(default_factory=dict)
    explanations: tuple[Explanation, ...] = ()

    def __post_init__(self) -> None:
        """Check that a cell that finished has epochs."""
        if self.finished and not self.history:
            raise ValueError("finished without an epoch")

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.status is Status.FINISHED

    @property
    def final(self) -> bool:
        """Whether it needn't run again: it came to its end, or to a loss that won't be finite next time."""
        return self.status in (Status.FINISHED, Status.NOT_FINITE)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return self.status.value if self.finished else f"failed: {self.reason}"

    def mean_gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit, averaged over the epochs."""
        return fmean(epoch.gap(metric) for epoch in self.history)
