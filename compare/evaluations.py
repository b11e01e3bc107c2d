"""The evaluations that lie between `fit` and `evaluate`: of any model, or quicker of a body and a head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from compare.data import Batches, Stream
from compare.features import FeatureBatches
from compare.implementation import Implementation

Figures = dict[str, float]
Statistics = dict[str, tuple[np.ndarray, np.ndarray]]

STAGE_IMAGES = 64  # what a stage contributes takes a pass of its own, on this many of the images at most


class Whole:
    """Any model: every evaluation is a pass through the whole of it.

    Args:
        side: of the model's framework.
        model: as `fit` left it at the end of the epoch.
        batches: the epoch's, in order: (inputs, labels) or (inputs, labels, weights of the samples).
        random: `replay.random_state` at the epoch's start.
    """

    def __init__(self, side: Implementation, model: Any, batches: Sequence, random: Any) -> None:
        self.side, self.model, self.batches, self.random = side, model, batches, random

    def in_fit(self, dropout: bool) -> Figures:
        """Measure loss and accuracy with BN as in `fit`; dropout, where it's on, with the epoch's own masks."""
        return self._measure(self.model, self.batches, dropout, "fit")

    def in_evaluate(self) -> Figures:
        """Measure as `evaluate` does."""
        return self._measure(self.model, self.batches, False, "evaluate")

    def under_population(self, dropout: bool) -> Figures:
        """Measure with the samples' population statistics in place of the moving ones."""
        with self.side.statistics.substituted(self.model, self.population):
            return self._measure(self.model, self.batches, dropout, "evaluate")

    def under(self, statistics: Statistics) -> Figures:
        """Measure as `evaluate` does with some statistics replaced, perhaps on a part of the samples."""
        with self.side.statistics.substituted(self.model, statistics):
            return self.in_evaluate()

    @cached_property
    def population(self) -> Statistics:
        """The samples' population statistics."""
        return self.side.statistics.population(self.model, self.batches)

    def _measure(self, model: Any, batches: Sequence, dropout: bool, normalise: str) -> Figures:
        with self.side.replay.replaying(self.model, self.random):
            return self.side.replay.measure(model, batches, dropout=dropout, normalise=normalise)


class Split(Whole):
    """A transfer model: all its BN is in the body and all its dropout in the head, which is a fraction of the work.

    So a pass through the body serves dropout on and off. And where an image's features don't depend on its
    neighbours in the batch, it passes once, however often the epoch shows it.

    Args:
        side, model, random: as for `Whole`.
        stream: whose epoch it was.
        batches: the epoch's.
        neighbours: whether `fit` normalises with the batch's statistics.
        known: the batches as features in `fit`, where those are known already.
    """

    batches: Batches

    def __init__(
        self,
        side: Implementation,
        model: Any,
        stream: Stream,
        batches: Batches,
        random: Any,
        neighbours: bool,
        known: Sequence | None = None,
    ) -> None:
        super().__init__(side, model, batches, random)
        self.labels, self.neighbours, self.known = stream.data.labels, neighbours, known
        self.head = side.transfer.parts(model)[1]

    def in_fit(self, dropout: bool) -> Figures:
        """Measure loss and accuracy with BN as in `fit`; dropout, where it's on, with the epoch's own masks."""
        return self._measure(self.head, self._fit_features, dropout, "fit")

    def in_evaluate(self) -> Figures:
        """Measure as `evaluate` does."""
        return self._measure(self.head, self._features(self.batches, "evaluate"), False, "evaluate")

    def under_population(self, dropout: bool) -> Figures:
        """Measure with the samples' population statistics in place of the moving ones."""
        return self._measure(self.head, self._under_population[1], dropout, "evaluate")

    def under(self, statistics: Statistics) -> Figures:
        """Measure as `evaluate` does with some statistics replaced, perhaps on a part of the samples."""
        with self.side.statistics.substituted(self.model, statistics):
            features = self._features(self._sample, "evaluate")
        return self._measure(self.head, features, False, "evaluate")

    @property
    def population(self) -> Statistics:
        """The samples' population statistics."""
        return self._under_population[0]

    @cached_property
    def _sample(self) -> Batches:
        indices = self.batches.distinct()[0].all_indices
        return self.batches.among(indices[:: -(-len(indices) // STAGE_IMAGES)])

    @cached_property
    def _fit_features(self) -> Sequence:
        if self.known is not None:
            return self.known
        if not self.neighbours:
            return self._features(self.batches, "fit")
        features = self.side.replay.features(self.model, self.batches, "fit")
        return [(rows, self._labels(step)) for step, rows in enumerate(features)]

    @cached_property
    def _under_population(self) -> tuple[Statistics, Sequence]:
        distinct, counts = self.batches.distinct()
        outputs: dict[int, Any] = {}
        statistics = self.side.statistics.population(
            self.side.transfer.body(self.model), distinct, counts, outputs.__setitem__
        )
        features = [np.asarray(outputs[step]) for step in range(len(distinct))]
        return statistics, self._gathered(self.batches, distinct, features)

    def _features(self, batches: Batches, normalise: str) -> Sequence:
        distinct, _ = batches.distinct()
        return self._gathered(batches, distinct, self.side.replay.features(self.model, distinct, normalise))

    def _gathered(self, batches: Batches, distinct: Batches, features: list[np.ndarray]) -> Sequence:
        rows = dict(zip(distinct.all_indices.tolist(), np.concatenate(features), strict=True))
        return FeatureBatches(rows, self.labels, batches)

    def _labels(self, step: int) -> np.ndarray:
        return self.labels[self.batches.indices(step)].astype(np.float32)[:, None]
