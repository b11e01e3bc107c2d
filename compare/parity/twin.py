"""The twin: the same model one rounding away, which measures how far rounding alone takes it.

What a framework computes is the exact result of weights and images that are off by some roundings (a sum of n
products: each by at most n, mostly far fewer; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1).
A model that starts with each of these moved by one rounding, up or down by chance, therefore ends up about as far
away as rounding takes two frameworks apart, whatever the depth, the batch, or the spread that a normalisation divides
by. A mistake takes them further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from compare.parity.figures import Distance, compare
from compare.parity.tolerances import TWIN_FACTOR, TWINS

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


def moved(arrays: Arrays, seed: Sequence[int], dtype: str, prefix: str = "") -> dict[str, np.ndarray]:
    """Move all arrays whose name starts with ``prefix`` by one rounding of ``dtype``; the others stay.

    A state is loaded as any is, so that a mistake in loading is in the twin as in the model.
    """
    names = [name for name in sorted(arrays) if name.startswith(prefix)]
    away = {name: one_rounding_away(arrays[name], [*seed, at], dtype) for at, name in enumerate(names)}
    return {**arrays, **away}


def until_same(rows: Iterable[Distance], beside: Callable[[int], None]) -> None:
    """Have one twin after another raise bars, by its number, until none is exceeded, or there were `TWINS`."""
    for number in range(TWINS):
        if all(row.same for row in rows):
            break
        beside(number)


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
        left = float(np.finfo(own[name].dtype).epsneg)
        if np.isinf(row.relative) and row.max_abs <= left:
            # beside a reference that is 0 throughout, as 1 - p is of a p that is 1 to the last bit: p is the scale
            row.relative, row.ulp, row.scale = row.max_abs, row.max_abs / left, 1.0
        apart = compare(row.name, twin[name], own[name], row.bar, row.scale, whole=row.whole).relative
        # a twin that overflows shows nothing: no difference would be above its bar
        if row.bar < factor * apart < np.inf:
            row.bar, row.twin = factor * apart, apart
