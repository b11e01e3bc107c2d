"""Stratified, seeded split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compare.data import ImageData, split
from compare.spec import InputError


def data_of(labels, part=None, groups=None) -> ImageData:
    labels = np.array(labels, np.uint8)
    names = tuple(f"{index}.png" for index in range(len(labels)))
    return ImageData("some", Path(), names, ("no", "yes"), labels, part, groups, "")


@pytest.fixture
def data():
    return data_of([0] * 700 + [1] * 300)


def positives(data, indices) -> int:
    return int(data.labels[indices].sum())


def test_a_fifth_of_each_class_validates(data):
    train, val = split(data, 0)
    assert (train.dtype, val.dtype) == (np.int64, np.int64)
    assert (len(train), positives(data, train), len(val), positives(data, val)) == (800, 240, 200, 60)
    assert sorted([*train, *val]) == list(range(1000))


@pytest.mark.parametrize("seed", range(5))
def test_images_of_one_group_stay_together(seed):
    """Cells of one solar module are nearly copies of each other: none validates what another trained."""
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(40), 50)
    data = data_of(rng.random(2000) < rng.random(40)[groups], groups=groups)
    train, val = split(data, seed)
    assert not set(groups[train]) & set(groups[val])
    assert sorted([*train, *val]) == list(range(2000))
    for label in (0, 1):
        assert 0.17 < (data.labels[val] == label).sum() / (data.labels == label).sum() < 0.23


def test_the_seed_decides(data):
    for one, other in zip(split(data, 3), split(data, 3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(split(data, 3)[1]) != set(split(data, 4)[1])


def test_both_parts_are_shuffled(data):
    for part in split(data, 0):
        quarters = [positives(data, quarter) / len(quarter) for quarter in np.array_split(part, 4)]
        assert max(quarters) < 0.5
        assert min(quarters) > 0.1


@pytest.mark.parametrize("images", [40, 101, 640])
def test_a_subset_is_stratified_and_nested(data, images):
    (train, val), (all_train, all_val) = split(data, 1, images), split(data, 1)
    assert (len(train), len(val)) == (images, images // 4)
    assert positives(data, train) == round(images * 0.3)
    assert positives(data, val) == round(images // 4 * 0.3)
    assert set(train) < set(all_train)
    assert set(val) < set(all_val)


def test_more_images_than_there_are_means_all(data):
    for one, other in zip(split(data, 1, 5000), split(data, 1), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_rare_class_is_in_both_parts_of_a_small_subset():
    data = data_of([0] * 990 + [1] * 10)
    train, val = split(data, 0, 16)
    assert (positives(data, train), positives(data, val)) == (1, 1)


def test_two_images_of_a_class_are_enough():
    data = data_of([0] * 8 + [1] * 2)
    train, val = split(data, 0)
    assert (positives(data, train), positives(data, val)) == (1, 1)


def test_a_class_of_one_image_is_refused():
    with pytest.raises(InputError, match="class yes has one image"):
        split(data_of([0] * 8 + [1]), 0)


def test_a_split_folder_is_taken_as_it_is():
    part = (np.arange(100) % 10 == 0).astype(np.uint8)
    data = data_of(np.arange(100) % 4 == 0, part)
    train, val = split(data, 0)
    assert sorted(val) == np.flatnonzero(part).tolist()
    assert sorted(train) == np.flatnonzero(part == 0).tolist()
    train, val = split(data, 0, 20)
    assert (len(train), len(val), part[train].sum(), part[val].sum()) == (20, 5, 0, 5)
