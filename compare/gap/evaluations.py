"""The evaluations that lie between `fit` and `evaluate`: of any model, or quicker of a body and a head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from compare.data import Batches
from compare.diagnosis.side import Seen, Statistics
from compare.gap.features import FeatureBatches, Features, Rows, places
from compare.gap.records import Figures
from compare.gap.sample import BATCHES_AT_A_TIME, USUAL, Bounds, images_of, some_of
from compare.processes.environment import large_blocks_given_back
from compare.wings import Implementation

# layer -> mean and variance, each (C,)
Moments = dict[str, tuple[np.ndarray, np.ndarray]]


class Whole:
    """Any model: every evaluation is a pass through the whole of it.

    Args:
        side: of the model's framework.
        model: as `fit` left it at the end of the epoch.
        batches: the epoch's, in order: (inputs, labels) or (inputs, labels, weights of the samples).
        random: `replay.random_state` at the epoch's start.
        bounds: how many samples may pass through it where that isn't all of them.
    """

    def __init__(
        self, side: Implementation, model: Any, batches: Sequence, random: Any, bounds: Bounds = USUAL
    ) -> None:
        self.side, self.model, self.batches = side, model, batches
        self.random, self.bounds = random, bounds
        self._seen: dict[str, Seen] = {}

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch has."""
        return [len(batch[1]) for batch in self.batches]

    def in_fit(self, dropout: bool) -> Figures:
        """Measure loss and accuracy with BN as in `fit`; dropout, where it's on, with the epoch's own masks."""
        stored: list[Moments] = []
        with self.side.replay.replaying(self.model, self.random):
            figures = self.side.replay.measure(
                self.model, self.batches, dropout=dropout, normalise="fit", take=stored.append
            )
        self._seen = seen(stored, self.sizes)
        return figures

    def seen_in_fit(self) -> dict[str, Seen]:
        """What reached the BN layers in the last pass with BN as in `fit`."""
        return self._seen

    def under(self, statistics: Statistics, dropout: bool) -> Figures:
        """Measure with other statistics in place of the moving ones."""
        with self.side.statistics.substituted(self.model, statistics):
            return self._measure(self.model, self.batches, dropout, "evaluate")

    def part_under(self, statistics: Moments) -> Figures:
        """Measure a part of the samples as `evaluate` does, with some statistics replaced."""
        with self.side.statistics.substituted(self.model, statistics):
            return self._measure(self.model, self._part, False, "evaluate")

    @cached_property
    def population(self) -> Moments:
        """The population statistics, of as many samples as the bounds allow."""
        some = some_of(self.batches, self.bounds.explanation)
        with large_blocks_given_back():
            return self.side.statistics.population(self.model, some)

    @cached_property
    def _part(self) -> Sequence:
        """The samples that a stage's contribution is measured on."""
        return some_of(self.batches, self.bounds.stage)

    def _measure(self, model: Any, batches: Sequence, dropout: bool, normalise: str) -> Figures:
        with self.side.replay.replaying(self.model, self.random):
            return self.side.replay.measure(model, batches, dropout=dropout, normalise=normalise)


@dataclass(frozen=True)
class Parts:
    """A transfer model and its parts, which are made once: a Keras model traces its functions anew.

    Attributes:
        side: of the model's framework.
        body: up to the features, `transfer.body`.
        head: from the features on.
        evaluated, evaluated_head: `transfer.twin` of the model and of its head, for `evaluate`.
    """

    side: Implementation
    model: Any
    body: Any
    head: Any
    evaluated: Any
    evaluated_head: Any

    @classmethod
    def of(cls, side: Implementation, model: Any) -> Parts:
        """Take a transfer model apart."""
        transfer, (_, head) = side.transfer, side.transfer.parts(model)
        return cls(side, model, transfer.body(model), head, transfer.twin(model), transfer.twin(head))


@dataclass
class BodyPasses:
    """What an epoch's passes through a body came to in which neither the head nor moving statistics have a part.

    So they are the same for every training that leaves the body's weights as they are. None where there was none yet.

    Attributes:
        in_fit: the features as in `fit`, and what reached the BN layers.
        under_population: the population statistics, and the features under them.
    """

    in_fit: tuple[FeatureBatches, dict[str, Seen]] | None = None
    under_population: tuple[Moments, FeatureBatches] | None = None


class BodyAndHead(Whole):
    """A transfer model: all its BN is in the body and all its dropout in the head, which is a fraction of the work.

    So a pass through the body serves dropout on and off. And where an image's features don't depend on its
    neighbours in the batch, it passes once, however often the epoch shows it.

    Args:
        parts: of the model.
        batches, random, bounds: as for `Whole`.
        by_batch: whether `fit` normalises with the batch's statistics.
        known: the batches as features in `fit`, where those are known already.
        evaluated: the features in `evaluate`, where those are known already.
        passes: what is known of the epoch from another training with the same body.
    """

    batches: Batches

    def __init__(
        self,
        parts: Parts,
        batches: Batches,
        random: Any,
        bounds: Bounds,
        *,
        by_batch: bool,
        known: Sequence | None = None,
        evaluated: Features | None = None,
        passes: BodyPasses | None = None,
    ) -> None:
        super().__init__(parts.side, parts.model, batches, random, bounds)
        self.body, self.head = parts.body, parts.head
        self.by_batch, self.known, self.evaluated = by_batch, known, evaluated
        self.passes = passes or BodyPasses()

    @property
    def sizes(self) -> list[int]:
        """How many samples each batch has."""
        return [len(self.batches.indices(step)) for step in range(len(self.batches))]

    def in_fit(self, dropout: bool) -> Figures:
        """Measure loss and accuracy with BN as in `fit`; dropout, where it's on, with the epoch's own masks."""
        return self._measure(self.head, self._fit_features, dropout, "fit")

    def seen_in_fit(self) -> dict[str, Seen]:
        """What reached the BN layers in the pass with BN as in `fit`; nothing where each batch had no part in it."""
        return self.passes.in_fit[1] if self.passes.in_fit else {}

    def under(self, statistics: Statistics, dropout: bool) -> Figures:
        """Measure with other statistics in place of the moving ones.

        Under others than the population's a part of the images is passed: what it differs by there is what all do.
        """
        known, features = self._under_population
        whole = self._measure(self.head, features, dropout, "evaluate")
        if statistics is known:
            return whole
        part = self._among(self.bounds.averages)
        before = self._measure(self.head, features.of(part), dropout, "evaluate")
        with self.side.statistics.substituted(self.model, statistics):
            after = self._measure(self.head, self._features(part, "evaluate"), dropout, "evaluate")
        return {metric: whole[metric] + after[metric] - before[metric] for metric in whole}

    def part_under(self, statistics: Moments) -> Figures:
        """Measure a part of the samples as `evaluate` does, with some statistics replaced."""
        if self.evaluated is not None and not statistics:
            return self._measure(self.head, self.evaluated.of(self._part), False, "evaluate")
        with self.side.statistics.substituted(self.model, statistics):
            features = self._features(self._part, "evaluate")
        return self._measure(self.head, features, False, "evaluate")

    @property
    def population(self) -> Moments:  # type: ignore[override]  # comes with the features, below
        """The population statistics, of as many samples as the bounds allow."""
        return self._under_population[0]

    @cached_property
    def _part(self) -> Batches:
        return self._among(self.bounds.stage)

    def _among(self, most: int) -> Batches:
        """The batches of so many of the images at most."""
        return self.batches.among(images_of(self.batches, most)[0].all_indices)

    @cached_property
    def _fit_features(self) -> Sequence:
        if self.known is not None:
            return self.known
        if not self.by_batch:
            return self._features(self.batches, "fit")
        if self.passes.in_fit is None:
            stored: list[Moments] = []
            rows = Rows(self._passes(self.batches, "fit", stored.append))
            self.passes.in_fit = FeatureBatches(rows, None, self.batches), seen(stored, self.sizes)
        return self.passes.in_fit[0]

    @property
    def _under_population(self) -> tuple[Moments, FeatureBatches]:
        if self.passes.under_population is None:
            self.passes.under_population = self._pass_under_population()
        return self.passes.under_population

    def _pass_under_population(self) -> tuple[Moments, FeatureBatches]:
        sample, counts = images_of(self.batches, self.bounds.explanation, self.bounds.step)
        rest, _ = self.batches.among(np.setdiff1d(self.batches.all_indices, sample.all_indices)).distinct()
        outputs: dict[int, np.ndarray] = {}

        def take(step: int, output: Any) -> None:
            outputs[step] = self.side.batches.array(output)

        with large_blocks_given_back():
            statistics = self.side.statistics.population(self.body, sample, counts, take)
        measured = (outputs[step] for step in range(len(sample)))
        with self.side.statistics.substituted(self.model, statistics):
            rows = Rows(chain(measured, self._passes(rest, "evaluate")))
        found = places(np.concatenate([sample.all_indices, rest.all_indices]))
        return statistics, FeatureBatches(rows, found, self.batches)

    def _features(self, batches: Batches, normalise: str) -> Sequence:
        distinct, _ = batches.distinct()
        rows = Rows(self._passes(distinct, normalise))
        return FeatureBatches(rows, places(distinct.all_indices), batches)

    def _passes(self, batches: Batches, normalise: str, take: Any = None) -> Iterator[np.ndarray]:
        for part in batches.parts(BATCHES_AT_A_TIME):
            yield self.side.replay.features(self.body, part, normalise, take)


def seen(stored: Sequence[Moments], sizes: Sequence[int]) -> dict[str, Seen]:
    """What reached the layers in a pass as in training, from what they store of each batch.

    Batches that are dealt at random lie as far apart as is expected of such.
    """
    found = {}
    for name in stored[0] if stored else ():
        means, variances = (np.stack([batch[name][part] for batch in stored]) for part in range(2))
        between = means.var(0, ddof=1) if len(means) > 1 else np.zeros_like(means[0])
        found[name] = Seen(
            count=sum(sizes),
            mean=means.mean(0),
            variance=variances.mean(0) + means.var(0),
            batch_mean=means.mean(0),
            batch_variance=variances.mean(0),
            between=between,
            expected=between,
            batches=len(means),
            per_channel=min(sizes),
        )
    return found
