"""What `fit` did in one training, kept for another that does the very same: the curve is then trained once.

Policies that train the head alone and normalise alike in `fit` draw the same `fit` curve to the last digit:
``frozen-batch-stats``, ``frozen-drifting`` and ``batch-stats`` differ in the moving statistics that they keep and in
what `evaluate` normalises with; ``frozen`` and ``features`` in nothing that can be measured.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compare.cells.settings import Settings
from compare.gap.evaluations import BodyPasses
from compare.spec import POLICIES, Cell

KEPT = 4  # courses a process: a head's arrays at each epoch's end, 10 MB at full width

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Passed:
    """An epoch as `fit` left it.

    Attributes:
        logs: its row of the history.
        head: the head's arrays.
        random: ``replay.random_state`` at its end.
        passes: through the body, as explanations of the epoch have made them.
    """

    logs: dict[str, float]
    head: dict[str, np.ndarray]
    random: Any
    passes: BodyPasses = field(default_factory=BodyPasses)


def course(cell: Cell) -> Key | None:
    """Name the course that a cell's `fit` takes; None for one that is its own.

    A backbone that trains has as many arrays an epoch as are too many to keep.
    """
    policy = POLICIES[cell.policy]
    if policy.trains != "head":
        return None
    normalises = (policy.fit_statistics, policy.reestimate == "before-fit")
    return cell.framework, cell.backbone, cell.numerics, cell.seed, *normalises


def can_follow(cell: Cell, settings: Settings) -> bool:
    """Whether a cell can go by what another one's `fit` did.

    Not where `fit` moves statistics that the cell needs, nor where what `evaluate` says has a part in the training: it
    stops it or lowers its rate.
    """
    whole = settings.patience >= settings.epochs and not settings.reduce_lr
    return whole and course(cell) is not None and not POLICIES[cell.policy].updates


class Courses:
    """The courses that this process has trained, the latest few."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[Passed, ...]] = OrderedDict()

    def keep(self, key: Key, epochs: tuple[Passed, ...]) -> None:
        """Keep a course that came to its end."""
        self._kept[key] = epochs
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def get(self, key: Key) -> tuple[Passed, ...] | None:
        """A course's epochs; None if it isn't kept."""
        return self._kept.get(key)
