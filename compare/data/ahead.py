"""Batches made ahead, in threads, while a device is at those before them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 4  # batches: 77 MB of images at 224 px and 32 a batch
THREADS = 4  # decoding and resizing release Python's lock


class Ahead(Sequence, Generic[T]):
    """The same batches, asked for in order; the next few are being made by then.

    Any order gives the same; only the one that a training takes is fast.
    """

    def __init__(self, batches: Sequence[T], ahead: int = AHEAD, threads: int = THREADS) -> None:
        self.batches, self.ahead = batches, ahead
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batches")
        self._made: dict[int, Future[T]] = {}

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)

    def __getitem__(self, step: int) -> T:  # type: ignore[override]  # no slices, as of a stream's own
        """Batch ``step``; IndexError past the end, and whatever making it raises."""
        if step >= len(self):
            raise IndexError(step)
        for later in range(step, min(step + 1 + self.ahead, len(self))):
            if later not in self._made:
                self._made[later] = self._pool.submit(self.batches.__getitem__, later)
        for earlier in [place for place in self._made if place < step]:
            self._made.pop(earlier).cancel()
        return self._made.pop(step).result()
