"""A bounded amount of decoded images in memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock

import numpy as np

LIMIT = 512 * 2**20


class Cache:
    """Keeps arrays until ``limit`` bytes are full, and from then on only those.

    Training goes through all images again and again. There, throwing out the least recently used one throws
    out the very image that is needed soonest; what came first and stays is hit in every pass.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        """Make an empty cache that holds up to ``limit`` bytes."""
        self.limit = limit
        self.used = 0
        self._arrays: dict[Hashable, np.ndarray] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple:
        """Pickle as an empty cache of the same limit: a worker decodes what it needs itself."""
        return Cache, (self.limit,)

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of ``key``; one that isn't held is made, outside the lock."""
        array = self._arrays.get(key)
        if array is not None:
            return array
        array = make()
        with self._lock:
            if key not in self._arrays and self.used + array.nbytes <= self.limit:
                self._arrays[key] = array
                self.used += array.nbytes
        return array
