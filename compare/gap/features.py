"""Features in place of images, where a backbone's output is wanted more than once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from tempfile import TemporaryFile
from weakref import finalize

import numpy as np

from compare.data import Batches, Stream
from compare.gap.sample import BATCHES_AT_A_TIME


class Rows:
    """Rows of float32 in a file without a name: 100,000 images' features would take 800 MB of memory.

    Args:
        parts: as for `add`.
    """

    def __init__(self, parts: Iterable[np.ndarray] = ()) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - open as long as there are the rows
        finalize(self, self._file.close)
        self._width = self._count = 0
        self.add(parts)

    def add(self, parts: Iterable[np.ndarray]) -> None:
        """Append arrays ``(n, C)``, one after another."""
        for part in parts:
            self._width, self._count = part.shape[1], self._count + len(part)
            self._file.write(np.ascontiguousarray(part, np.float32).data)
        self._file.flush()

    def __len__(self) -> int:
        """The number of rows."""
        return self._count

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """The rows at some places, counted from 0: float32 ``(len(places), C)``."""
        size = 4 * self._width
        read = [os.pread(self._file.fileno(), size, size * place) for place in places.tolist()]
        return np.frombuffer(bytearray().join(read), np.float32).reshape(len(places), self._width)


class Features:
    """The features of images in one state of a network, each image's computed once.

    Args:
        extract: runs the backbone over batches of images; returns ``(N, C)`` float32 in their order.
    """

    def __init__(self, extract: Callable[[Batches], np.ndarray]) -> None:
        self.extract, self.rows = extract, Rows()
        self.places = np.empty(0, np.int64)

    def add(self, images: Batches) -> None:
        """Compute the features of images, each of them given once, but for those that have theirs."""
        there = np.flatnonzero(self.places >= 0)
        lacking = images.among(np.setdiff1d(images.all_indices, there))
        if not len(lacking):
            return
        self.rows.add(self.extract(part) for part in lacking.parts(BATCHES_AT_A_TIME))
        self.places = places(np.concatenate([there[np.argsort(self.places[there])], lacking.all_indices]))

    def of(self, batches: Batches) -> FeatureBatches:
        """The features of any batches of these images, however often they show one."""
        return FeatureBatches(self.rows, self.places, batches)


class FeatureStream(Features):
    """The batches of a `Stream` with each image replaced by its features.

    Args:
        stream: whose images, epochs and order are taken over.
        extract: as for `Features`.
    """

    def __init__(self, stream: Stream, extract: Callable[[Batches], np.ndarray]) -> None:
        super().__init__(extract)
        self.stream = stream
        self.add(stream.images("train"))
        self.add(stream.images("val"))

    def epoch(self, epoch: int) -> FeatureBatches:
        """The features of a training epoch's batches."""
        return self.of(self.stream.epoch(epoch))


class FeatureBatches(Sequence):
    """Batches of ``(features (N, C) float32, labels (N, 1) float32)``.

    Args:
        rows: the features.
        places: by an image's index where its features are; None where the rows are in the batches' own order.
        batches: whose images these are.
    """

    def __init__(self, rows: Rows, places: np.ndarray | None, batches: Batches) -> None:
        self.rows, self.places, self.batches = rows, places, batches
        if places is None:
            ends = np.cumsum([len(batches.indices(step)) for step in range(len(batches))])
            self.order = np.split(np.arange(ends[-1]), ends[:-1])

    def of(self, batches: Batches) -> FeatureBatches:
        """The features of other batches of the same images."""
        return FeatureBatches(self.rows, self.places, batches)

    def __len__(self) -> int:
        """The number of batches."""
        return len(self.batches)

    def __getitem__(self, step):
        """One batch."""
        places = self.order[step] if self.places is None else self.places[self.batches.indices(step)]
        return self.rows[places], self.batches.labels(step)


def places(indices: np.ndarray) -> np.ndarray:
    """Turn the images of rows, each once, into the rows of images: int64, by an image's index."""
    found = np.full(indices.max() + 1, -1)
    found[indices] = np.arange(len(indices))
    return found
