"""Which value of the one model is which of the other's: the same numbers, perhaps laid out otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import prod

import numpy as np

from compare.pair.records import Arrays, Call, Seen

SAMPLE = 64


@dataclass
class Match:
    """A value of PyTorch's that is one of Keras's.

    Attributes:
        axes: of PyTorch's, in Keras's order.
        apart: the largest difference relative to the largest value.
    """

    torch: str
    axes: tuple[int, ...]
    apart: float


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference relative to the largest value of ``b``; infinite where it isn't a number."""
    if a.size == 0:
        return 0.0
    with np.errstate(all="ignore"):
        worst = float(np.abs(a - b).max())
        largest = float(np.abs(b).max())
    if worst == 0:
        return 0.0
    apart = worst / largest if largest else np.inf
    return apart if np.isfinite(apart) else np.inf


def arrangements(shape: tuple[int, ...], wanted: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The orders of axes in which an array has the shape wanted, or lies in memory as it; likely ones first."""
    rank = len(shape)
    orders = [tuple(range(rank))]
    if rank >= 3:
        orders += [(0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1)), (1, 0, *range(2, rank))]
    if 2 <= rank <= 4:
        orders += [order for order in permutations(range(rank)) if order not in orders]
    exact = [order for order in dict.fromkeys(orders) if tuple(shape[axis] for axis in order) == wanted]
    loose = [order for order in dict.fromkeys(orders[:4]) if order not in exact and order[0] == 0]
    return [*exact, *loose]


class Values:
    """A pass's values, to be asked for one that equals another's."""

    def __init__(self, run: Seen, bars: dict[str, float], floor: float) -> None:
        self.run, self.bars, self.floor = run, bars, floor
        self.by_size: dict[int, list[tuple[str, float, float]]] = {}
        for name, array in run.values.items():
            if array.dtype.kind in "fiu" and array.size > 1:
                self.by_size.setdefault(array.size, []).append((name, *_moments(array)))
        # a stack of recurrent layers gives the last states of all in one
        stacks = [
            call for call in run.calls if call.kind in ("lstm", "gru", "rnn") and not call.facts.get("cell")
        ]
        ends = [name for call in stacks for name in call.outputs[1:] if name in run.values]
        self.states = [
            (name, state) for name in ends if len(run.values[name]) > 1 for state in run.values[name]
        ]

    def bar(self, name: str) -> float:
        """How far apart a value may be: what rounding explains."""
        return max(self.floor, self.bars.get(name, 0.0))

    def find(self, array: np.ndarray) -> Match | None:
        """The value that equals an array, the closest if several do."""
        size, spread = _moments(array) if array.size else (0.0, 0.0)
        best = None
        for name, other_size, other_spread in self.by_size.get(array.size, ()):
            if abs(size - other_size) > 1e-4 * max(size, 1e-30) or abs(spread - other_spread) > 1e-3 * max(
                spread, 1e-30
            ):
                continue
            match = compare(array, self.run.values[name], name, self.bar(name))
            if match is not None and (best is None or match.apart < best.apart):
                best = match
                if best.apart == 0:
                    break
        return best if best is not None else self._state(array)

    def _state(self, array: np.ndarray) -> Match | None:
        """The recurrent layers' states, one of which equals an array."""
        for name, state in self.states:
            match = compare(array, state, name, self.bar(name)) if state.size == array.size else None
            if match is not None:
                return Match(name, tuple(range(self.run.values[name].ndim)), match.apart)
        return None

    def equal(self, name: str, array: np.ndarray) -> Match | None:
        """Whether a given value equals an array."""
        if name not in self.run.values or self.run.values[name].size != array.size:
            return None
        return compare(array, self.run.values[name], name, self.bar(name))


def compare(array: np.ndarray, other: np.ndarray, name: str, bar: float) -> Match | None:
    """Compare in every arrangement, a sample of the elements first."""
    places = np.arange(0, array.size, max(1, array.size // SAMPLE))
    sample = array.reshape(-1)[places]
    for axes in arrangements(other.shape, array.shape):
        turned = other.transpose(axes)
        if distance(turned[np.unravel_index(places, turned.shape)], sample) > 100 * bar + 1e-12:
            continue
        apart = distance(turned.reshape(array.shape), array)
        if apart <= bar:
            return Match(name, axes, apart)
    return None


def _moments(array: np.ndarray) -> tuple[float, float]:
    flat = np.asarray(array, np.float64).reshape(-1)
    flat = flat[np.isfinite(flat)]
    return (float(np.abs(flat).mean()), float(np.square(flat).mean())) if flat.size else (0.0, 0.0)


@dataclass
class Front:
    """Where two passes part.

    Attributes:
        call: Keras's first call whose result PyTorch hasn't, though it has all that goes in.
        matched: Keras's value -> PyTorch's.
        open: all of Keras's calls that the output depends on through nothing that is matched.
    """

    call: Call | None
    matched: dict[str, Match]
    open: list[Call]


def front(keras: Seen, torch: Values, targets: list[str]) -> Front:
    """Find where the passes part, walking back from the outputs to what both have.

    Args:
        targets: Keras's values that the outputs are, or the logits before them.
    """
    matched: dict[str, Match | None] = {}

    def match(name: str) -> Match | None:
        if name not in matched:
            matched[name] = torch.find(keras.values[name]) if name in keras.values else None
        return matched[name]

    needed = [name for name in targets if match(name) is None]
    open_calls: dict[int, Call] = {}
    while needed:
        call = keras.maker.get(needed.pop())
        if call is None or call.index in open_calls:
            continue
        open_calls[call.index] = call
        needed += [name for name in call.inputs if match(name) is None]
    ordered = [open_calls[index] for index in sorted(open_calls)]
    start = next(
        (c for c in ordered if all(match(n) is not None for n in c.inputs if _counts(keras.values, n))), None
    )
    return Front(start or (ordered[0] if ordered else None), {n: m for n, m in matched.items() if m}, ordered)


def _counts(values: Arrays, name: str) -> bool:
    return name in values and prod(values[name].shape) > 1
