"""The evaluations that lie between `fit` and `evaluate`: of any model, or quicker of a body and a head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from compare.data import Batches, Stream
from compare.gap.features import BATCHES_AT_A_TIME, FeatureBatches, Rows, places
from compare.wings import Implementation

Figures = dict[str, float]
Statistics = dict[str, tuple[np.ndarray, np.ndarray]]

STAGE_IMAGES = 64  # what a stage contributes takes a pass of its own, on this many of the images at most
PASS_PIXELS = (
    128 * 96**2
)  # of a population pass: a Keras layer takes 1 ms whatever comes to it, memory sets a limit


def samples(batches: Batches, most: int, batch_size: int | None = None) -> tuple[Batches, list[np.ndarray]]:
    """Take each image of the batches once, or every second, third ... so that there are at most ``most``.

    Returns:
        Batches of these images, and for each how often its images come in the batches given.
    """
    indices = np.unique(batches.all_indices)
    return batches.among(indices[:: -(-len(indices) // most)]).distinct(batch_size)


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
        body: of the model, `transfer.body`.
        stream: whose epoch it was.
        batches: the epoch's.
        neighbours: whether `fit` normalises with the batch's statistics.
        most: images that may pass side by side; where there are more, the population is every second, third ...
        known: the batches as features in `fit`, where those are known already.
    """

    batches: Batches

    def __init__(
        self,
        side: Implementation,
        model: Any,
        body: Any,
        stream: Stream,
        batches: Batches,
        random: Any,
        neighbours: bool,
        most: int,
        known: Sequence | None = None,
    ) -> None:
        super().__init__(side, model, batches, random)
        self.stream, self.neighbours, self.most, self.known = stream, neighbours, most, known
        self.body, self.head = body, side.transfer.parts(model)[1]

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
        return self.batches.among(samples(self.batches, STAGE_IMAGES)[0].all_indices)

    @cached_property
    def _fit_features(self) -> Sequence:
        if self.known is not None:
            return self.known
        if not self.neighbours:
            return self._features(self.batches, "fit")
        rows = Rows(self._passes(self.batches, "fit"))
        return FeatureBatches(rows, None, self.stream.data.labels, self.batches)

    @cached_property
    def _under_population(self) -> tuple[Statistics, Sequence]:
        sample, counts = samples(self.batches, self.most, self._images_a_pass)
        rest, _ = self.batches.among(np.setdiff1d(self.batches.all_indices, sample.all_indices)).distinct()
        outputs: dict[int, Any] = {}
        statistics = self.side.statistics.population(self.body, sample, counts, outputs.__setitem__)
        measured = (np.asarray(outputs[step]) for step in range(len(sample)))
        with self.side.statistics.substituted(self.model, statistics):
            rows = Rows(chain(measured, self._passes(rest, "evaluate")))
        found = places(np.concatenate([sample.all_indices, rest.all_indices]))
        return statistics, FeatureBatches(rows, found, self.stream.data.labels, self.batches)

    @property
    def _images_a_pass(self) -> int:
        return max(self.stream.batch_size, PASS_PIXELS // self.stream.image_size**2)

    def _features(self, batches: Batches, normalise: str) -> Sequence:
        distinct, _ = batches.distinct()
        rows = Rows(self._passes(distinct, normalise))
        return FeatureBatches(rows, places(distinct.all_indices), self.stream.data.labels, batches)

    def _passes(self, batches: Batches, normalise: str) -> Iterator[np.ndarray]:
        for part in batches.parts(BATCHES_AT_A_TIME):
            yield self.side.replay.features(self.body, part, normalise)
