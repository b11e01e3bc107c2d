"""What a person gives as data: arrays, a loader, anything that can be iterated again, a function that returns one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any

import numpy as np

from compare.diagnosis.dealing import Deal, by_number, names, order_of, period_of
from compare.diagnosis.moments import Moments
from compare.diagnosis.side import Batch, Subject
from compare.spec import InputError

# of fit, for bare arrays, where nobody says it: Keras's own
BATCH_SIZE = 32
STEPS = "say how many batches a pass has with steps="
ONCE = "is a generator that is used up after one pass: give a function that returns a new one"


class Data:
    """A person's data, iterated as often as needed.

    Args:
        given: arrays ``(x, y)`` or ``(x, y, weights)``, a dictionary of arrays, an iterable of batches, a function
            that returns any of them.
        name: of the argument, for messages.
        batch_size: of bare arrays.
        steps: batches of a pass; None takes all.

    Raises:
        InputError: the data can't be iterated twice, never end, or don't fit one another.
    """

    def __init__(self, given: Any, name: str, batch_size: int | None, steps: int | None):
        self.given, self.name, self.steps = given, name, steps
        self.batch_size = batch_size or BATCH_SIZE
        self.assumed = False
        first = given() if is_function(given) else given
        if iter_is_itself(first) and not is_function(given):
            raise InputError(f"{name} {ONCE}")
        self.arrays = _are_arrays(first)
        if self.arrays:
            lengths = {len(leaf) for leaf in _leaves(first)}
            if len(lengths) > 1:
                raise InputError(f"{name} has arrays of {' and '.join(map(str, sorted(lengths)))} samples")
            self.assumed = batch_size is None
        elif not isinstance(first, Iterable) and not hasattr(first, "__getitem__"):
            raise InputError(
                f"{name} is {type(first).__name__}; it must be arrays (x, y), a loader or an iterable"
            )
        elif steps is None and _never_ends(first):
            raise InputError(f"{name} never ends (repeat()): {STEPS}")
        # a generator doesn't say whether it ends
        self.open = steps is None and iter_is_itself(first)

    def __call__(self) -> Iterable[Any]:
        """One pass, from the start."""
        given = self.given() if is_function(self.given) else self.given
        if self.arrays:
            given = _sliced(given, self.batch_size)
        elif not hasattr(given, "__iter__") or _is_sequence_only(given):
            given = map(given.__getitem__, range(len(given)))
        return given if self.steps is None else islice(given, self.steps)


def batch_size_of(given: Any, steps: int | None) -> int | None:
    """The batch size that makes so many batches of arrays: a power of two, since any other would be a guess."""
    if steps is None or is_function(given) or not _are_arrays(given):
        return None
    count = len(_leaves(given)[0])
    return next((size for size in (2**k for k in range(16)) if -(-count // size) == steps > 1), None)


@dataclass
class Look:
    """What a pass over data shows before any model sees them.

    Attributes:
        batches: sizes of the batches.
        samples: hash of each sample with its target, in order.
        inputs, targets: hash of each sample's input and of its target alone.
        mean, deviation, low, high: of the first float input by channel (its last axis), float64 ``(C,)``.
        labels: how often each label comes, where targets are whole numbers.
        held: the batches, where there are few enough samples.
        weighted: whether samples have weights.
    """

    batches: list[int]
    samples: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray
    labels: dict[float, int]
    held: list[Batch] | None
    weighted: bool

    @property
    def size(self) -> int:
        """Number of samples."""
        return sum(self.batches)


def look(subject: Subject, data: Data, seed: int, limit: int) -> Look:
    """Pass over data once.

    Raises:
        InputError: there is nothing, or a sample holds NaN.
    """
    sizes: list[int] = []
    held: list[Batch] | None = []
    hashes: tuple[list[bytes], ...] = ([], [], [])
    moments = Moments()
    labels: dict[float, int] = {}
    weighted = False
    for batch in batches(subject, data, seed):
        arrays = subject.arrays(batch)
        _refuse_nan(arrays, data.name, sum(sizes))
        sizes.append(batch.size)
        weighted |= batch.weights is not None
        if held is not None:
            held = [*held, batch] if sum(sizes) <= limit else None
        parts = [[a for k, a in arrays.items() if k[0] == part] for part in "xy"]
        for i in range(batch.size):
            inputs, targets = [_hash([a[i] for a in part if len(a) > i]) for part in parts]
            for store, value in zip(hashes, (inputs + targets, inputs, targets), strict=True):
                store.append(value)
        if data.open and (period := period_of(hashes[0], sizes)) is not None:
            raise InputError(f"{data.name} never ends, it begins anew every {period} batches: {STEPS}")
        moments.add(next((a for a in parts[0] or arrays.values() if a.dtype.kind == "f"), None))
        _count(labels, parts[1])
    if not sum(sizes):
        raise InputError(f"{data.name} gives no sample")
    each, alone, wanted = (np.array([value.hex() for value in store]) for store in hashes)
    mean, deviation, low, high = moments.result()
    return Look(sizes, each, alone, wanted, mean, deviation, low, high, labels, held, weighted)


def batches(subject: Subject, data: Data, seed: int) -> Iterator[Batch]:
    """One pass as batches, shuffled and augmented as with that seed."""
    for raw in subject.replayed(data, seed):
        yield subject.batch(raw)


class Passes:
    """A person's data as the passes need them: the same batches each time, memory bounded by a limit.

    Attributes:
        look: what a pass shows.
        twice: whether two passes have the same samples, in any order.
        ordered: whether they have them in the same order.
        replayed: whether a pass can be repeated to the last bit.
        single: whether batches of one sample are passed, too.
        dealt: whether the batches are those of `fit`: their order is always the same, or it was seen.
        shuffled: whether arrays were dealt anew, since they stand in another order than `fit` saw them in.
        prepared: whether the inputs are known to be as the network's weights want them.
    """

    single = True
    prepared = False
    shuffled = False

    def __init__(self, subject: Subject, data: Data, limit: int, seen: Sequence[Sequence[str]] = ()):
        self.subject, self.data, self.limit = subject, data, limit
        self._source: Iterable[Batch] | None = None
        self.look = look(subject, data, 0, limit)
        fixed = data.arrays and not is_function(data.given)
        other = self.look if fixed else look(subject, data, 1, 0)
        again = self.look if fixed or self.look.held is not None else look(subject, data, 0, 0)
        self.replayed = np.array_equal(again.samples, self.look.samples)
        self.twice = np.array_equal(np.sort(other.samples), np.sort(self.look.samples))
        self.ordered = np.array_equal(other.samples, self.look.samples)
        # what can't be repeated is held instead, as much of it as the limit allows
        self.held = (
            self.look.held if self.look.held is not None else None if self.replayed else self.some(limit)
        )
        self.dealt = self._deal(seen) or (self.ordered and not data.arrays)

    def _deal(self, seen: Sequence[Sequence[str]]) -> bool:
        """Deal the samples as they were seen; not where some weren't, or can't be taken by number."""
        if not seen:
            return False
        source = None if is_function(self.data.given) else by_number(self.data.given)
        dealt: Iterable[Batch] | None
        if source is not None:
            take, known = source[0], names(self.subject, *source, fingerprints)
            order = order_of(seen, known, self.look.size)
            dealt = None if order is None else Deal(self.subject, order, take)
        else:
            dealt = self._deal_held(seen)
        if dealt is None:
            return False
        self.held = self.look.held = list(dealt) if self.look.size <= self.limit else None
        self.look.batches = [len(batch) for batch in seen]
        self._source = dealt
        return True

    def _deal_held(self, seen: Sequence[Sequence[str]]) -> list[Batch] | None:
        held, order = self.look.held, order_of(seen, self.look.inputs.tolist(), self.look.size)
        if held is None or order is None:
            return None
        try:
            return [self.subject.join(held, np.array(batch)) for batch in order]
        except ValueError:
            return None

    @property
    def shuffles(self) -> bool:
        """Whether these are arrays whose order in `fit` nobody saw."""
        return self.data.arrays and not self.dealt and not is_function(self.data.given)

    def anew(self) -> Deal | None:
        """The samples of arrays dealt to other batches, as `fit` does unless it is told otherwise; None of others."""
        source = by_number(self.data.given)
        if source is None:
            return None
        parts = np.split(
            np.random.default_rng(0).permutation(self.look.size), np.cumsum(self.look.batches)[:-1]
        )
        return Deal(self.subject, [part.tolist() for part in parts], source[0])

    def shuffle(self, dealt: Deal) -> None:
        """Pass these batches from now on."""
        self.held = self.look.held = list(dealt) if self.look.size <= self.limit else None
        self._source, self.shuffled = dealt, True

    def _once(self) -> Iterator[Batch]:
        return iter(self._source or batches(self.subject, self.data, 0))

    def __iter__(self) -> Iterator[Batch]:
        every = self._once() if self.held is None else iter(self.held)
        return (batch for batch in every if self.single or batch.size > 1)

    def __length_hint__(self) -> int:
        """How many batches a pass has."""
        return len(self.look.batches)

    @property
    def whole(self) -> bool:
        """Whether a pass's batches are all held, so that `some` can be all of them."""
        return self.look.held is not None and self.held is self.look.held and self.look.size <= self.limit

    def some(self, most: int) -> list[Batch]:
        """Batches spread evenly over a pass, so many samples at most; at least one batch."""
        if self.look.held is not None and self.look.size <= most:
            return self.look.held
        sizes = self.look.batches
        wanted = max(1, int(most // max(sizes)))
        at = set(np.linspace(0, len(sizes) - 1, min(wanted, len(sizes))).round().astype(int).tolist())
        source = self._once() if self.look.held is None else self.look.held
        return [batch for i, batch in enumerate(source) if i in at]


def _refuse_nan(arrays: dict[str, np.ndarray], name: str, start: int) -> None:
    for key, array in arrays.items():
        if array.dtype.kind == "f" and len(array) and np.isnan(array).any():
            sample = start + int(np.isnan(array.reshape(len(array), -1)).any(1).argmax())
            raise InputError(f"{name}: sample {sample} has NaN in {key}")


def _count(labels: dict[float, int], targets: list[np.ndarray]) -> None:
    if targets and (targets[0].dtype.kind in "iub" or targets[0].ndim < 3) and targets[0].size:
        values, counts = np.unique(targets[0].reshape(len(targets[0]), -1)[:, :1], return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if len(labels) < 1000:
                labels[value] = labels.get(value, 0) + count


def fingerprints(arrays: Sequence[np.ndarray]) -> tuple[str, ...]:
    """The hash of each sample of a batch, of all its arrays together, as `Look.inputs` has it."""
    count = max((len(array) for array in arrays if array.ndim), default=0)
    return tuple(_hash([a[i] for a in arrays if len(a) > i]).hex() for i in range(count))


def _hash(parts: list[Any]) -> bytes:
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.digest()


def is_function(given: Any) -> bool:
    """Whether data are a function that returns a new pass."""
    return callable(given) and not hasattr(given, "__iter__") and not hasattr(given, "__getitem__")


def iter_is_itself(given: Any) -> bool:
    """Whether something is an iterator: one pass, and it is empty."""
    return hasattr(given, "__next__")


def _is_sequence_only(given: Any) -> bool:
    """A PyDataset: batches by number; iterating it needs its length."""
    return hasattr(given, "__getitem__") and hasattr(given, "on_epoch_end")


def _never_ends(given: Any) -> bool:
    if callable(getattr(given, "cardinality", None)):
        return int(given.cardinality()) == -1
    if _is_sequence_only(given):
        try:
            return len(given) is None
        except (TypeError, ValueError, OverflowError):
            return True
    return False


def _is_array(value: Any) -> bool:
    return (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and hasattr(value, "__getitem__")
        and len(value.shape) > 0
    )


def _leaves(given: Any) -> list[Any]:
    if isinstance(given, dict):
        return [leaf for value in given.values() for leaf in _leaves(value)]
    if isinstance(given, tuple | list):
        return [leaf for value in given if value is not None for leaf in _leaves(value)]
    return [given]


def _are_arrays(given: Any) -> bool:
    """Whether this is all samples at once: arrays, named ones, or a tuple of them (a list is one of batches)."""
    if _is_array(given):
        return True
    return isinstance(given, tuple | dict) and bool(given) and all(_is_array(leaf) for leaf in _leaves(given))


def _sliced(given: Any, size: int) -> Iterator[Any]:
    def cut(value: Any, part: slice) -> Any:
        if isinstance(value, dict):
            return {key: cut(item, part) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return tuple(cut(item, part) for item in value if item is not None)
        return value[part]

    for start in range(0, len(_leaves(given)[0]), size):
        yield cut(given, slice(start, start + size))
