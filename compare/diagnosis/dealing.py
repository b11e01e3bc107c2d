"""The batches that a training has dealt, dealt again: by the hashes of their samples, where those were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from compare.diagnosis.arrays import are_arrays, leaves, rows
from compare.diagnosis.looking import fingerprints
from compare.diagnosis.side import Batch, Subject

# samples whose hashes are taken at a time
CHUNK = 32
# samples, and batches, that are dealt anew
DEALT, DEALT_BATCHES = 160, 4
Take = Callable[[Sequence[int]], Any]


@dataclass(frozen=True)
class Deal:
    """Batches by the numbers of their samples.

    Attributes:
        order: a batch each.
        take: makes a batch of some numbers, as the data would give it.
    """

    subject: Subject
    order: list[list[int]]
    take: Take

    def __iter__(self) -> Iterator[Batch]:
        """The batches, one at a time."""
        return (self.subject.batch(self.take(numbers)) for numbers in self.order)


def by_number(given: Any) -> tuple[Take, int] | None:
    """How samples are taken from data by number, and how many there are; None where they can't be.

    Args:
        given: arrays; or a loader with ``dataset`` and ``collate_fn``.
    """
    if are_arrays(given):
        return partial(rows, given), len(leaves(given)[0])
    dataset: Any = getattr(given, "dataset", None)
    collate: Any = getattr(given, "collate_fn", None)
    whole = getattr(given, "batch_sampler", None) is not None
    if whole and callable(collate) and hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        return (lambda numbers: collate([dataset[i] for i in numbers])), len(dataset)
    return None


def hashes(subject: Subject, take: Take, count: int) -> list[str]:
    """The hash of each sample's inputs, by number."""
    found: list[str] = []
    for start in range(0, count, CHUNK):
        arrays = subject.arrays(subject.batch(take(range(start, min(count, start + CHUNK)))))
        found += fingerprints([array for name, array in arrays.items() if name.startswith("x")])
    return found


def order_of(seen: Sequence[Sequence[str]], known: Sequence[str], size: int) -> list[list[int]] | None:
    """The numbers of the samples that were seen; None where one isn't known, or there aren't as many as in a pass.

    Of samples that are the same each is taken in its turn, and the last again where one was drawn more often.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(known):
        places.setdefault(name, []).append(place)
    if sum(map(len, seen)) != size or not all(name in places for batch in seen for name in batch):
        return None
    return [[p.pop(0) if len(p := places[name]) > 1 else p[0] for name in batch] for batch in seen]


def spread(batches: list[Batch]) -> tuple[list[int], list[Batch]]:
    """Batches spread evenly over a pass, as many as are dealt anew: their places, and themselves."""
    size = max(batch.size for batch in batches)
    wanted = min(len(batches), max(DEALT_BATCHES, -(-DEALT // size)))
    at = sorted(set(np.linspace(0, len(batches) - 1, wanted).round().astype(int).tolist()))
    return at, [batches[i] for i in at]


def dealt_anew(subject: Subject, batches: list[Batch], seed: int = 0) -> list[Batch]:
    """The samples of some batches in batches of the same sizes, dealt at random."""
    sizes = [batch.size for batch in batches]
    order = np.random.default_rng(seed).permutation(sum(sizes))
    return [subject.join(batches, part) for part in np.split(order, np.cumsum(sizes)[:-1]) if len(part)]


def mispaired(subject: Subject, batches: list[Batch]) -> Batch:
    """All samples of some batches in one, the first part of each beside the other parts of the one before it.

    Raises:
        ValueError: the samples can't be dealt anew, or have one part alone.
    """
    numbers = np.arange(sum(batch.size for batch in batches))
    own, other = (subject.join(batches, at).raw for at in (numbers, np.roll(numbers, 1)))
    if isinstance(own, Mapping):
        first = next(iter(own))
        return subject.batch({**other, first: own[first]})
    if not isinstance(own, tuple | list) or len(own) < 2:
        raise ValueError("a sample has one part alone")
    return subject.batch(type(own)([own[0], *other[1:]]))
