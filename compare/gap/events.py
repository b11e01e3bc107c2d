"""What a cell tells on the way, from its worker to whoever shows and keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from compare.gap.records import CellResult


@dataclass(frozen=True)
class Started:
    """A worker has begun with a cell."""


@dataclass(frozen=True)
class StepDone:
    """A training step is done; epochs and steps count from 1."""

    epoch: int
    epochs: int
    step: int
    steps: int
    fit_loss: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch is trained and evaluated."""

    epoch: int
    epochs: int
    fit_loss: float
    evaluate_loss: float
    val_loss: float


@dataclass(frozen=True)
class Retried:
    """A cell's worker has died, and the cell begins again in another.

    Attributes:
        reason: how it died.
    """

    reason: str


@dataclass(frozen=True)
class Ended:
    """A cell has ended, well or not."""

    result: CellResult


Event = Started | StepDone | EpochDone | Retried | Ended
