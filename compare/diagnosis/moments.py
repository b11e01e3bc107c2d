"""Mean, deviation and range of inputs by channel, without holding them."""

from __future__ import annotations

from typing import Any

import numpy as np


class Moments:
    """Mean, deviation and range by channel, batch after batch."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Any = 0.0
        self.squares: Any = 0.0
        self.low: Any = np.inf
        self.high: Any = -np.inf

    def add(self, array: np.ndarray | None) -> None:
        """Take in a batch, channels last; one of another number of channels is left out."""
        if array is None or not array.size:
            return
        rows = array.reshape(-1, array.shape[-1]).astype(np.float64)
        if not isinstance(self.sums, float) and self.sums.shape != rows.shape[1:]:
            return
        self.count += len(rows)
        self.sums = self.sums + rows.sum(0)
        self.squares = self.squares + (rows**2).sum(0)
        self.low, self.high = np.minimum(self.low, rows.min(0)), np.maximum(self.high, rows.max(0))

    def result(self) -> tuple[np.ndarray, ...]:
        """Mean, deviation, least and largest value, float64 ``(C,)``; empty where nothing was taken in."""
        if not self.count:
            return tuple(np.zeros(0) for _ in range(4))
        mean = np.asarray(self.sums / self.count)
        deviation = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        return mean, deviation, np.asarray(self.low), np.asarray(self.high)
