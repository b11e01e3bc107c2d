"""Features in place of images: the right row for every image, kept on the disk."""

import tracemalloc

import numpy as np
import pytest

from compare.data import Stream, load, split
from compare.gap import features
from compare.gap.features import Features, FeatureStream, Rows
from tests.support.image_files import two_classes

SIZE = 8


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    data = load(str(two_classes(tmp_path_factory.mktemp("images"), 65, 15)))
    return Stream(data, *split(data, seed=0), SIZE, 8, 0, "caffe")


def means(batches):
    """Stand for a backbone: an image's mean colour, (N, 3)."""
    return np.concatenate([images.mean((1, 2)) for images, _ in batches])


def test_rows_are_read_in_any_order():
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows = Rows([array[:1], array[1:]])
    np.testing.assert_array_equal(rows[np.array([3, 0, 3])], array[[3, 0, 3]])
    assert rows[np.array([1])].dtype == np.float32


def test_rows_take_no_memory():
    tracemalloc.start()
    rows = Rows(np.full((1000, 512), part, np.float32) for part in range(50))  # 100 MB in all
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6
    np.testing.assert_array_equal(rows[np.array([49_999, 1000])][:, 7], [49, 1])


@pytest.mark.parametrize("at_a_time", [1, 3, 256])
def test_each_image_has_its_own_features(stream, monkeypatch, at_a_time):
    monkeypatch.setattr(features, "BATCHES_AT_A_TIME", at_a_time)
    in_parts = FeatureStream(stream, means)
    for batches in (stream.epoch(1), stream.fresh(2), stream.validation()):
        for (rows, labels), (images, expected) in zip(in_parts.of(batches), batches, strict=True):
            np.testing.assert_array_equal(rows, images.mean((1, 2)))
            np.testing.assert_array_equal(labels, expected)


def test_an_image_passes_once_however_often_it_is_asked_for(stream):
    """More images may come; those that have passed don't pass again, and keep their features."""
    passed = []

    def extract(batches):
        passed.extend(batches.all_indices.tolist())
        return means(batches)

    found, several = Features(extract), (stream.epoch(0), stream.validation(), stream.fresh(3))
    for batches in (*several, *several):
        found.add(stream.each_of([batches]))
    assert sorted(passed) == stream.each_of(several).all_indices.tolist()
    for batches in several:
        for (rows, _), (images, _) in zip(found.of(batches), batches, strict=True):
            np.testing.assert_array_equal(rows, images.mean((1, 2)))


def test_parts_are_the_same_batches(stream):
    batches = stream.validation()
    parts = list(batches.parts(1))
    assert [part.all_indices.tolist() for part in parts] == [
        batches.indices(step).tolist() for step in range(len(batches))
    ]
    assert [len(part) for part in stream.epoch(0).parts(5)][:2] == [5, 5]
