"""Gather what reaches the normalisation layers over the batches of a pass, a batch at a time.

The same text in both implementations; it knows no framework.
"""

import numpy as np

from .evidence import Seen


class Gathering:
    """Sums over batches, from which `seen` makes what a layer's input comes to."""

    def __init__(self):
        self._kept: dict[str, _Sums] = {}

    def take(self, name, means, variances, positions, by_sample=False, unbiased=False):
        """Add a batch.

        Args:
            name: of the call.
            means, variances: each sample's own, over its positions, float64 ``(N, C)``; variances biased.
            positions: values a channel that a sample has.
            by_sample: whether the framework normalises each sample by itself, and stores the mean of theirs.
            unbiased: whether the framework stores the variance divided by n - 1.
        """
        if not len(means):
            return
        self._kept.setdefault(name, _Sums(means.shape[1])).add(
            means, variances, positions, by_sample, unbiased
        )

    def seen(self):
        """Name of a call -> `Seen`, in the order in which the data pass."""
        return {name: sums.seen() for name, sums in self._kept.items()}


class Reached(BaseException):
    """Ends a pass that has reached what it was to reach; past whatever takes in errors."""


class Until(Gathering):
    """Gathers what reaches one call, and ends the pass there with `Reached`.

    Args:
        name: of the call.
    """

    def __init__(self, name):
        super().__init__()
        self.name = name

    def take(self, name, *values, **options):
        """Add a batch, where it has reached the call; arguments as of `Gathering.take`."""
        if name == self.name:
            super().take(name, *values, **options)
            raise Reached


class _Sums:
    """Sums over the batches of one call, of deviations from the first batch's mean: that keeps their digits."""

    def __init__(self, channels):
        zeros = np.zeros(channels)
        self.first = None  # the first batch's mean
        # how many values a channel there are, samples and batches; and the fewest values that a batch has
        self.count, self.samples, self.batches, self.fewest = 0, 0, 0, None
        # of the values, of the samples' means and of the batches' means: the sum, and the sum of squares
        self.value, self.square = zeros.copy(), zeros.copy()
        self.sample, self.sample_square = zeros.copy(), zeros.copy()
        self.batch, self.batch_square = zeros.copy(), zeros.copy()
        self.stored = zeros.copy()  # of the variances, as the framework stores them
        self.inverse = 0.0  # of 1 / samples of a batch

    def add(self, means, variances, positions, by_sample, unbiased):
        number = len(means)
        mean = means.mean(0)
        variance = variances.mean(0) + ((means - mean) ** 2).mean(0)
        values = positions if by_sample else positions * number
        stored = variances.mean(0) if by_sample else variance
        if unbiased:
            stored = stored * values / max(1, values - 1)
        if self.first is None:
            self.first = mean
        off, offs = mean - self.first, means - self.first
        self.value += off * number * positions
        self.square += (variance + off**2) * number * positions
        self.sample += offs.sum(0)
        self.sample_square += (offs**2).sum(0)
        self.batch += off
        self.batch_square += off**2
        self.stored += stored
        self.inverse += 1 / number
        self.count += number * positions
        self.samples += number
        self.batches += 1
        self.fewest = values if self.fewest is None else min(self.fewest, values)

    def seen(self):
        value = self.value / self.count
        sample = self.sample / self.samples
        batch = self.batch / self.batches
        between = (self.batch_square / self.batches - batch**2) * self.batches / max(1, self.batches - 1)
        spread = (self.sample_square / self.samples - sample**2) * self.samples / max(1, self.samples - 1)
        # batches dealt from so many samples without putting any back
        left = 1 - (self.samples / self.batches) / self.samples
        return Seen(
            count=self.count,
            mean=self.first + value,
            variance=np.maximum(self.square / self.count - value**2, 0),
            batch_mean=self.first + batch,
            batch_variance=self.stored / self.batches,
            between=np.maximum(between, 0),
            expected=np.maximum(spread, 0) * self.inverse / self.batches * left,
            batches=self.batches,
            per_channel=self.fewest,
            rows=self.samples,
        )
