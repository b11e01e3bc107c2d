"""What a person gives as data: arrays, a loader, anything that can be iterated again, a function that returns one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any

from compare.diagnosis.arrays import are_arrays, leaves, rows
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
        self.arrays = are_arrays(first)
        if self.arrays:
            lengths = {len(leaf) for leaf in leaves(first)}
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
    if steps is None or is_function(given) or not are_arrays(given):
        return None
    length = len(leaves(given)[0])
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


def _sliced(given: Any, size: int) -> Iterator[Any]:
    return (rows(given, slice(start, start + size)) for start in range(0, len(leaves(given)[0]), size))


def form_of(raw: Any) -> str:
    """What a batch is made of, in words: ``(x, (x, x))``, a letter for each array."""
    if isinstance(raw, Mapping):
        return "{" + ", ".join(map(str, raw)) + "}"
    if isinstance(raw, tuple | list):
        return "(" + ", ".join(map(form_of, raw)) + ")"
    return "x"
