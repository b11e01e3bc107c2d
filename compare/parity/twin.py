"""The twin: the same model one rounding away, which measures how far rounding alone takes it.

What a framework computes is the exact result of weights and images that are off by some roundings (a sum of n
products: each by at most n, mostly far fewer; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1).
A model that starts with each of these moved by one rounding, up or down by chance, therefore ends up about as far
away as rounding takes two frameworks apart, whatever the depth, the batch, or the spread that a normalisation divides
by. A mistake takes them further.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from compare.parity.check import Check
from compare.parity.figures import Distance, compare
from compare.parity.tolerances import TWIN_FACTOR

Arrays = Mapping[str, np.ndarray]

PART = 2**20  # elements that are moved at a time


def one_rounding_away(
    array: np.ndarray, seed: int | Sequence[int] = 0, dtype: str | None = None
) -> np.ndarray:
    """Move every element to the next number, up or down by chance; zeros stay zeros."""
    away = np.array(array, dtype, order="C")
    generator, flat = np.random.default_rng([2, *np.atleast_1d(seed)]), away.reshape(-1)
    # part by part: of a large array the numbers by chance alone would take as much memory again, several times
    for start in range(0, flat.size, PART):
        part = flat[start : start + PART]
        up = generator.random(part.shape) < 0.5
        moved_part = np.nextafter(part, np.where(up, np.inf, -np.inf).astype(part.dtype))
        np.copyto(part, moved_part, where=part != 0)
    return away


def moved(state: Arrays, check: Check, number: int = 0) -> dict[str, np.ndarray]:
    """Move all weights of a state by one rounding of the check's dtype; slots and counters stay.

    It is loaded as any state is, so that a mistake in loading is in the twin as in the model.

    Args:
        number: which of the twins.
    """
    names = [name for name in sorted(state) if name.startswith("weights/")]
    away = {
        name: one_rounding_away(state[name], [check.seed, number, at], check.dtype)
        for at, name in enumerate(names)
    }
    return {**state, **away}


def raise_bars(
    rows: Iterable[Distance], own: Arrays, twin: Arrays, prefix: str = "", factor: float = TWIN_FACTOR
) -> None:
    """Raise each row's bar to what its array's twin shows that rounding can do there.

    Args:
        own, twin: arrays by the rows' names with ``prefix`` in front.
        factor: how many times the twin's distance is no difference.
    """
    for row in rows:
        name = f"{prefix}{row.name}"
        apart = compare(row.name, twin[name], own[name], row.bar, row.scale, whole=row.whole).relative
        if factor * apart > row.bar:
            row.bar, row.twin = factor * apart, apart
