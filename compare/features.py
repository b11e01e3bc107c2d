"""A stream of features in place of images, for the policies under which a backbone's output can't change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .data import Stream


class FeatureStream:
    """The batches of a `Stream` with each image replaced by its features, which are computed once.

    Args:
        stream: whose images, epochs and order are taken over.
        extract: runs the backbone over batches of images; returns ``(N, C)`` float32 in their order.
    """

    def __init__(self, stream: Stream, extract: Callable[[Sequence], np.ndarray]):
        self.stream = stream
        self.rows: dict[int, np.ndarray] = {}
        for which in ("train", "val"):
            batches = stream.images(which)
            indices = np.concatenate([batches.indices(step) for step in range(len(batches))])
            self.rows.update(zip(indices.tolist(), extract(batches), strict=True))

    def epoch(self, epoch: int) -> FeatureBatches:
        """The features of a training epoch's batches."""
        return self.of(self.stream.epoch(epoch))

    def of(self, batches) -> FeatureBatches:
        """The features of any batches of the stream."""
        return FeatureBatches(self.rows, self.stream.data.labels, batches)


class FeatureBatches(Sequence):
    """Batches of ``(features (N, C) float32, labels (N, 1) float32)``.

    Args:
        rows: an image's index -> its features.
        labels: by an image's index.
        batches: whose images these are.
    """

    def __init__(self, rows: dict[int, np.ndarray], labels: np.ndarray, batches):
        self.rows, self.labels, self.batches = rows, labels, batches

    def __len__(self) -> int:
        """The number of batches."""
        return len(self.batches)

    def __getitem__(self, step):
        """One batch."""
        indices = self.batches.indices(step)
        features = np.stack([self.rows[index] for index in indices.tolist()])
        return features, self.labels[indices].astype(np.float32)[:, None]
