"""What a person gives as data: arrays, a loader, anything that can be iterated again, a function that returns one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any

from compare.spec import InputError

# of fit, for bare arrays, where nobody says it: Keras's own
BATCH_SIZE = 32
# argument -> what to do where it has no end
ENDING = {
    "data": "say how many batches a pass has with steps=",
    "evaluate_data": "give one pass over it alone, as take(N) or itertools.islice cut it",
}
ONCE = "is a generator that is used up after one pass: give a function that returns a new one"


class Data:
    """A person's data, iterated as often as needed.

    Attributes:
        open: whether nobody knows how many batches a pass has, as with a generator.
        ending: what to do where it has no end, as the end of a sentence.

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
        self.batch_size, self.ending = batch_size or BATCH_SIZE, ENDING[name]
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
            raise InputError(f"{name} never ends (repeat()): {self.ending}")
        self.open = steps is None and not self.arrays and not _tells_its_length(first)

    def __call__(self) -> Iterable[Any]:
        """One pass, from the start."""
        given = self.given() if is_function(self.given) else self.given
        if self.arrays:
            given = _sliced(given, self.batch_size)
        elif not hasattr(given, "__iter__") or _is_sequence_only(given):
            numbers = count() if _never_ends(given) else range(len(given))
            given = map(given.__getitem__, numbers)
        return given if self.steps is None else islice(given, self.steps)


def batch_size_of(given: Any, steps: int | None) -> int | None:
    """The batch size that makes so many batches of arrays: a power of two, since any other would be a guess."""
    if steps is None or is_function(given) or not _are_arrays(given):
        return None
    length = len(_leaves(given)[0])
    return next((size for size in (2**k for k in range(16)) if -(-length // size) == steps > 1), None)


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


def _tells_its_length(given: Any) -> bool:
    if callable(getattr(given, "cardinality", None)):
        return int(given.cardinality()) >= 0
    try:
        return len(given) >= 0
    except (TypeError, NotImplementedError):
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


def form_of(raw: Any) -> str:
    """What a batch is made of, in words: ``(x, (x, x))``, a letter for each array."""
    if isinstance(raw, Mapping):
        return "{" + ", ".join(map(str, raw)) + "}"
    if isinstance(raw, tuple | list):
        return "(" + ", ".join(map(form_of, raw)) + ")"
    return "x"
