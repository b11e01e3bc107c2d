"""The batches of a cell: a pure function of (seed, epoch, step), the same bytes for either framework."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Literal

import numpy as np

from compare.data.dataset import ImageData
from compare.data.preprocess import preprocess
from compare.spec import InputError

Batch = tuple[np.ndarray, np.ndarray]

TRAINING, FRESH = 0, 1  # which random numbers a plan is drawn from


def resampled_steps_per_epoch(commonest: int, batch_size: int, classes: int = 2) -> int:
    """Steps after which batches of equal shares have shown the commonest class about once: ceil(K n / batch_size).

    Source: the TensorFlow tutorial "Classification on imbalanced data".
    """
    return -(-classes * commonest // batch_size)


def steps_of(of_class: Sequence[np.ndarray], batch_size: int) -> int:
    """Steps an epoch of training images, class by class: two classes count by the negatives, more by the commonest."""
    sizes = [len(members) for members in of_class]
    commonest = sizes[0] if len(sizes) == 2 else max(sizes)
    return resampled_steps_per_epoch(commonest, batch_size, len(sizes))


class Batches(Sequence[Batch]):
    """Batches by step, made when asked for, in any thread: float32 images (n, h, w, 3) and labels.

    Attributes:
        all_indices: data-set indices of all the images, in order: int64.
    """

    def __init__(self, stream: Stream, indices: np.ndarray, batch_size: int) -> None:
        """Cut the data-set ``indices`` (int64) into batches of a stream's images; the last may be smaller.

        A single image that would be left joins the batch before it: alone it has no batch statistics.
        """
        self._stream, self._batch_size = stream, batch_size
        cuts = range(batch_size, len(indices) - (batch_size > 1), batch_size)
        self._indices = np.split(indices, cuts) if len(indices) else []
        self.all_indices = indices

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._indices)

    def __getitem__(self, step: int) -> Batch:  # type: ignore[override]  # no slices: they'd fill the memory
        """Batch ``step``; IndexError past the end."""
        return self._stream.images_at(self.indices(step)), self.labels(step)

    def labels(self, step: int) -> np.ndarray:
        """The labels of batch ``step``: float32 (n, 1), of more than two classes (n, K)."""
        return self._stream.labels_at(self.indices(step))

    def indices(self, step: int) -> np.ndarray:
        """Data-set indices of batch ``step``: int64 (n,)."""
        return self._indices[step]

    def distinct(self, batch_size: int | None = None) -> tuple[Batches, list[np.ndarray]]:
        """Each image once, by index, and for each batch of these how often its images come here: int64 (n,)."""
        indices, counts = np.unique(self.all_indices, return_counts=True)
        batches = Batches(self._stream, indices, batch_size or self._batch_size)
        ends = np.cumsum([len(batch) for batch in batches._indices])
        return batches, np.split(counts, ends[:-1])

    def parts(self, steps: int) -> Iterator[Batches]:
        """These batches, at most ``steps`` of them at a time."""
        for start in range(0, len(self), steps):
            part = copy(self)
            part._indices = self._indices[start : start + steps]
            part.all_indices = np.concatenate(part._indices)
            yield part

    def among(self, indices: np.ndarray) -> Batches:
        """What of these images is one of ``indices``, in the same order."""
        return Batches(self._stream, self.all_indices[np.isin(self.all_indices, indices)], self._batch_size)

    def sha256(self) -> str:
        """Hex digest over the bytes of all batches, images and labels."""
        digest = hashlib.sha256()
        for images, labels in self:
            digest.update(images.data)
            digest.update(labels.data)
        return digest.hexdigest()


def check(data: ImageData, train: np.ndarray, batch_size: int) -> tuple[np.ndarray, ...]:
    """Check that images can be trained on in batches of a size, and return them class by class.

    Args:
        train: int64 indices into ``data``.

    Raises:
        InputError: the batch size isn't 1 to the number of training images, or those lack a class.
    """
    if not 1 <= batch_size <= len(train):
        raise InputError(
            f"--batch-size {batch_size}: {data.name} has {len(train)} images to train on; "
            f"it must be 1 to {len(train)}"
        )
    of_class = tuple(train[data.labels[train] == label] for label in range(len(data.classes)))
    for name, members in zip(data.classes, of_class, strict=True):
        if len(members) == 0:
            raise InputError(
                f"--data {data.name}: no training images of class {name}; it must have all classes"
            )
    return of_class


class Stream:
    """Training batches oversampled to equal shares of the classes, and plain passes over all images.

    Epoch e's batches are drawn at once, as indices, from ``Generator(PCG64([seed, 0, e]))``: for each place
    of each batch a fair coin (or die) says the class, and each class's images are dealt shuffled, without replacement,
    pass after pass. That is sampling from shuffled, repeated streams of equal weights. Nothing is
    remembered between calls, so their order and thread make no difference. Fresh batches are drawn from
    ``Generator(PCG64([seed, 1, 0]))``.

    Attributes:
        steps: batches an epoch, `resampled_steps_per_epoch` of the training split's negatives, or commonest class.
    """

    def __init__(
        self,
        data: ImageData,
        train: np.ndarray,
        val: np.ndarray,
        image_size: int,
        batch_size: int,
        seed: int,
        preprocessing: str,
    ) -> None:
        """Make the stream of ``split``'s indices.

        Args:
            data: the images.
            train, val: int64 indices into them.
            image_size: side of the square images, in pixels.
            batch_size: images a batch; at most as many as there are to train on.
            seed: 0 or more.
            preprocessing: ``caffe`` or ``torch``.

        Raises:
            InputError: as `check`'s.
        """
        self._of_class = check(data, train, batch_size)
        self.data, self.train, self.val = data, train, val
        self.image_size, self.batch_size = image_size, batch_size
        self.seed, self.preprocessing = seed, preprocessing
        self.steps = steps_of(self._of_class, batch_size)

    def epoch(self, epoch: int) -> Batches:
        """Training batches of an epoch (0, 1, ...): ``steps`` full ones."""
        return self._batches(self._oversampled(TRAINING, epoch, self.steps))

    def fresh(self, count: int) -> Batches:
        """``count`` batches drawn like an epoch's, from random numbers that no epoch uses."""
        return self._batches(self._oversampled(FRESH, 0, count))

    def validation(self) -> Batches:
        """Each validation image once; the last batch may be smaller."""
        return self.images("val")

    def images(self, which: Literal["train", "val"]) -> Batches:
        """Each image of a part once, in the order that ``split`` gave; the last batch may be smaller."""
        return self._batches({"train": self.train, "val": self.val}[which])

    def each_of(self, several: Sequence[Batches]) -> Batches:
        """Each image of some batches once, by index; the last batch may be smaller."""
        return self._batches(np.unique(np.concatenate([batches.all_indices for batches in several])))

    def images_at(self, indices: np.ndarray) -> np.ndarray:
        """The images at some indices of the data set, preprocessed: float32 (n, h, w, 3)."""
        pixels = np.stack([self.data.read(index, self.image_size) for index in indices])
        return preprocess(pixels, self.preprocessing)

    def labels_at(self, indices: np.ndarray) -> np.ndarray:
        """The labels at some indices of the data set, float32.

        Returns:
            Of two classes (n, 1), 1 for the positive; of K (n, K), 1 in the class's column.
        """
        labels, classes = self.data.labels[indices], len(self.data.classes)
        if classes == 2:
            return labels.astype(np.float32)[:, None]
        return np.eye(classes, dtype=np.float32)[labels]

    def _oversampled(self, purpose: int, number: int, steps: int) -> np.ndarray:
        rng = np.random.Generator(np.random.PCG64([self.seed, purpose, number]))
        classes = len(self._of_class)
        die = classes - 1 - (rng.random(steps * self.batch_size) * classes).astype(int)
        plan = np.empty(len(die), np.int64)
        for label, members in enumerate(self._of_class):
            places = die == label
            plan[places] = repeated(rng, members, int(places.sum()))
        return plan

    def _batches(self, indices: np.ndarray) -> Batches:
        return Batches(self, indices, self.batch_size)


def repeated(rng: np.random.Generator, members: np.ndarray, count: int) -> np.ndarray:
    """Deal ``count`` of ``members``: all of them shuffled, then all of them shuffled anew, and so on."""
    passes = -(-count // len(members))
    return rng.permuted(np.tile(members, (passes, 1)), axis=1).ravel()[:count]
