"""A pass over a person's data before any model sees them: its samples by their hashes, its inputs by their moments."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from compare.diagnosis.data import Data
from compare.diagnosis.ending import endless
from compare.diagnosis.moments import Moments
from compare.diagnosis.side import Batch, Subject
from compare.spec import InputError

# seconds of a pass over data that don't say how many batches they have, before a word is said of it
PATIENCE = 20


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
        InputError: there is nothing, it has no end, or a sample holds NaN.
    """
    sizes: list[int] = []
    held: list[Batch] | None = []
    hashes: tuple[list[bytes], ...] = ([], [], [])
    moments = Moments()
    labels: dict[float, int] = {}
    weighted, waiting, started = False, True, time.monotonic()
    for batch in batches(subject, data, seed):
        arrays = subject.arrays(batch)
        _refuse_nan(arrays, data.name, sum(sizes))
        sizes.append(batch.size)
        weighted |= batch.weights is not None
        if held is not None:
            held = [*held, batch] if sum(sizes) <= limit else None
        parts = [[_by_sample(a, batch.size) for k, a in arrays.items() if k[0] == part] for part in "xy"]
        if not any(parts):  # a batch that only the person's step can unpack
            parts[0] = [a for a in arrays.values() if a.ndim and len(a) == batch.size]
        for i in range(batch.size):
            inputs, targets = [_hash([a[i] for a in part if len(a) > i]) for part in parts]
            for store, value in zip(hashes, (inputs + targets, inputs, targets), strict=True):
                store.append(value)
        if data.open:
            _refuse_endless(data, hashes[0], sizes)
            waiting = waiting and not _told_to_wait(data, len(sizes), started)
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


def _by_sample(array: np.ndarray, size: int) -> np.ndarray:
    """An array by sample, of targets in one row after another, too; of no sample where they don't come out even."""
    if array.ndim == 0 or len(array) == size:
        return array
    return array.reshape(size, -1) if size and len(array) and len(array) % size == 0 else array[:0]


def _refuse_endless(data: Data, samples: list[bytes], sizes: list[int]) -> None:
    if (why := endless(samples, sizes)) is not None:
        raise InputError(f"{data.name} {why}: {data.ending}")


def _told_to_wait(data: Data, count: int, started: float) -> bool:
    """Whether it was said, now, that a pass takes long and may have no end."""
    if time.monotonic() - started < PATIENCE:
        return False
    print(f"{data.name}: {count} batches so far; if it never ends, {data.ending}", file=sys.stderr)
    return True


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
    digest = sha256()  # processors have instructions for it
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.digest()[:8]
