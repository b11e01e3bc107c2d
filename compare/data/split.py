"""Which images are trained on and which validate: stratified, seeded."""

from __future__ import annotations

import numpy as np

from compare.data.dataset import ImageData
from compare.spec import InputError

VAL_SHARE = 0.2
DRAWS = 100  # of groups: the draw whose classes come nearest to `VAL_SHARE` is taken


def split(data: ImageData, seed: int, images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Split a data set 80/20 in each class, or as its folder is split already.

    Images of one group (cells of one solar module) stay together, since a validation on images that are nearly
    copies of the training images flatters; the classes are then near 80/20.

    Args:
        data: the data set.
        seed: of the shuffle (numpy's PCG64).
        images: how many training images to take, classes in proportion, and a quarter as many to validate
            with: a subset of what any larger number takes. None takes all.

    Returns:
        (train, val), int64 indices into the data set, disjoint, and shuffled: a folder's files are sorted by
        class, and the batch statistics of a batch of one class are not those of the data.

    Raises:
        InputError: a class has a single image, so that it can't be in both parts, or ``images`` are fewer than
            there are classes.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permutation(len(data))
    part = data.split
    if part is None:
        part = in_val(data, order) if data.groups is None else groups_in_val(data.labels, data.groups, rng)
    part = part[order]
    train, val = order[part == 0], order[part == 1]
    if images is not None:
        classes = len(data.classes)
        if images < classes:
            raise InputError(f"--images {images}: there are {classes} classes; it must be {classes} or more")
        train = subset(train, data.labels, images)
        val = subset(val, data.labels, max(classes, images // 4))
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


def groups_in_val(labels: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose a fifth of the groups, and of `DRAWS` such choices the one that has nearest to a fifth of each class.

    Returns:
        bool (N,), True for the images of the chosen groups.
    """
    names = np.unique(groups)
    count = max(1, round(VAL_SHARE * len(names)))
    draws = [np.isin(groups, rng.choice(names, count, replace=False)) for _ in range(DRAWS)]

    def distance(chosen: np.ndarray) -> float:
        return max(abs(chosen[labels == label].mean() - VAL_SHARE) for label in np.unique(labels))

    return min(draws, key=distance)


def subset(indices: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Take the first ``count`` of ``indices``, classes in proportion and at least one of each."""
    if count >= len(indices):
        return indices
    of_each = labels[indices]
    taken = np.zeros(len(indices), bool)
    for label in np.unique(of_each)[::-1]:
        members = np.flatnonzero(of_each == label)
        left = np.count_nonzero(of_each <= label)
        share = min(
            max(1, round(count * (len(members) / left))), count - np.unique(of_each[of_each < label]).size
        )
        taken[members[:share]] = True
        count -= share
    return indices[taken]
