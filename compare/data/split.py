"""Which images are trained on and which validate: stratified, seeded."""

from __future__ import annotations

import numpy as np

from compare.data.dataset import ImageData
from compare.spec import InputError

VAL_SHARE = 0.2


def split(data: ImageData, seed: int, images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Split a data set 80/20 in each class, or as its folder is split already.

    Args:
        data: the data set.
        seed: of the shuffle (numpy's PCG64).
        images: how many training images to take, classes in proportion, and a quarter as many to validate
            with: a subset of what any larger number takes. None takes all.

    Returns:
        (train, val), int64 indices into the data set, disjoint, and shuffled: a folder's files are sorted by
        class, and the batch statistics of a batch of one class are not those of the data.

    Raises:
        InputError: a class has a single image, so that it can't be in both parts.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permutation(len(data))
    part = in_val(data, order)[order] if data.split is None else data.split[order]
    train, val = order[part == 0], order[part == 1]
    if images is not None:
        train = subset(train, data.labels, images)
        val = subset(val, data.labels, max(2, images // 4))
    return train, val


def in_val(data: ImageData, order: np.ndarray) -> np.ndarray:
    """Choose a fifth of each class, at least one image: bool (N,)."""
    chosen = np.zeros(len(data), bool)
    for label, name in enumerate(data.classes):
        members = order[data.labels[order] == label]
        if len(members) < 2:
            raise InputError(
                f"--data {data.name}: class {name} has one image; it must have two, one to validate with"
            )
        chosen[members[: max(1, round(VAL_SHARE * len(members)))]] = True
    return chosen


def subset(indices: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Take the first ``count`` of ``indices``, positives in proportion and at least one of each class."""
    if count >= len(indices):
        return indices
    positive = labels[indices] == 1
    positives = min(max(1, round(count * positive.mean())), count - 1)
    rank = np.where(positive, np.cumsum(positive), np.cumsum(~positive))
    return indices[rank <= np.where(positive, positives, count - positives)]
