"""The oversampled stream: what is drawn, that it is a pure function, and that memory is bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from compare.data import Stream, load, preprocess, resampled_steps_per_epoch, split
from compare.data.cache import Cache
from compare.spec import InputError
from tests.support.image_files import two_classes

SIZE = 16
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load(str(two_classes(tmp_path_factory.mktemp("images"), 65, 15)))


def stream_of(data, seed: int = 0, batch_size: int = 8, preprocessing: str = "caffe") -> Stream:
    train, val = split(data, seed=0)
    return Stream(data, train, val, SIZE, batch_size, seed, preprocessing)


def plan(batches) -> np.ndarray:
    return np.concatenate([batches.indices(step) for step in range(len(batches))])


@pytest.mark.parametrize(
    ("negatives", "batch_size", "steps"), [(52, 8, 13), (53, 8, 14), (440, 32, 28), (1, 32, 1)]
)
def test_resampled_steps_per_epoch(negatives, batch_size, steps):
    assert resampled_steps_per_epoch(negatives, batch_size) == steps


@pytest.mark.parametrize("preprocessing", ["caffe", "torch"])
def test_a_batch_is_its_images_preprocessed(data, preprocessing):
    batches = stream_of(data, preprocessing=preprocessing).epoch(1)
    images, labels = batches[2]
    indices = batches.indices(2)
    assert (images.shape, images.dtype, images.flags.c_contiguous) == ((8, SIZE, SIZE, 3), np.float32, True)
    assert (labels.shape, labels.dtype, indices.dtype) == ((8, 1), np.float32, np.int64)
    pixels = np.stack([data.read(index, SIZE) for index in indices])
    np.testing.assert_array_equal(images, preprocess(pixels, preprocessing))
    np.testing.assert_array_equal(labels[:, 0], data.labels[indices])


def test_distinct_images_and_how_often_they_come(data):
    epoch = stream_of(data).epoch(2)
    distinct, counts = epoch.distinct()
    repeated = np.concatenate([np.repeat(distinct.indices(i), count) for i, count in enumerate(counts)])
    np.testing.assert_array_equal(repeated, np.sort(plan(epoch)))
    assert len(plan(distinct)) < len(plan(epoch))
    assert [len(distinct.indices(step)) for step in range(len(distinct) - 1)] == [8] * (len(distinct) - 1)
    larger, counts = epoch.distinct(20)
    assert (len(larger.indices(0)), len(counts[0]), counts[0].dtype) == (20, 20, np.int64)
    np.testing.assert_array_equal(plan(larger), plan(distinct))


def test_a_part_of_an_epochs_images_in_the_same_order(data):
    epoch = stream_of(data).epoch(2)
    chosen = plan(epoch.distinct()[0])[::3]
    part = epoch.among(chosen)
    assert plan(part).tolist() == [index for index in plan(epoch).tolist() if index in set(chosen.tolist())]
    np.testing.assert_array_equal(part[0][1][:, 0], data.labels[part.indices(0)])


def test_an_epoch_is_full_batches_of_training_images(data):
    stream = stream_of(data)
    epoch = stream.epoch(0)
    assert stream.steps == len(epoch) == 13  # 52 negatives
    assert len(list(epoch)) == 13
    assert {len(labels) for _, labels in epoch} == {8}
    assert set(plan(epoch)) <= set(stream.train)


def test_half_of_the_training_batches_images_are_positive(data):
    labels = data.labels[plan(stream_of(data).fresh(1000))].reshape(1000, 8)
    assert labels.mean() == pytest.approx(0.5, abs=0.02)  # four standard deviations
    assert labels.sum(1).var() == pytest.approx(2, rel=0.2)  # binomial, not four in each batch


@pytest.mark.parametrize("label", [0, 1])
def test_each_class_is_dealt_without_replacement_pass_after_pass(data, label):
    stream = stream_of(data)
    drawn = plan(stream.fresh(100))
    drawn = drawn[data.labels[drawn] == label]
    members = sorted(index for index in stream.train if data.labels[index] == label)
    passes = [drawn[start : start + len(members)] for start in range(0, len(drawn), len(members))]
    assert len(passes) > 5
    assert all(sorted(one) == members for one in passes[:-1])
    assert len({tuple(one) for one in passes}) == len(passes)
    assert len(set(passes[-1])) == len(passes[-1])


def test_seeds_epochs_and_fresh_batches_differ(data):
    stream, other = stream_of(data), stream_of(data, seed=1)
    plans = [
        stream.epoch(0),
        stream.epoch(1),
        stream.fresh(13),
        other.epoch(0),
        other.epoch(1),
        other.fresh(13),
    ]
    assert len({tuple(plan(batches)) for batches in plans}) == 6


def test_order_and_thread_of_the_calls_make_no_difference(data):
    places = [(epoch, step) for epoch in range(3) for step in range(13)]
    first = stream_of(data)
    in_order = {place: first.epoch(place[0])[place[1]] for place in places}
    second = stream_of(load(str(data.root)))
    shuffled = [places[place] for place in np.random.default_rng(0).permutation(len(places))]
    with ThreadPoolExecutor(8) as pool:
        batches = pool.map(lambda place: second.epoch(place[0])[place[1]], shuffled)
    for place, (images, labels) in zip(shuffled, batches, strict=True):
        np.testing.assert_array_equal(images, in_order[place][0])
        np.testing.assert_array_equal(labels, in_order[place][1])


def test_plain_passes_show_each_image_once(data):
    stream = stream_of(data, batch_size=6)
    np.testing.assert_array_equal(plan(stream.images("train")), stream.train)
    np.testing.assert_array_equal(plan(stream.validation()), stream.val)
    assert [len(labels) for _, labels in stream.validation()] == [6, 6, 4]


@pytest.mark.parametrize(("batch_size", "sizes"), [(5, [5, 5, 6]), (15, [16]), (1, [1] * 16), (7, [7, 7, 2])])
def test_no_image_is_left_to_a_batch_of_its_own(data, batch_size, sizes):
    """Alone it has no batch statistics: PyTorch refuses it at 1 x 1, Keras normalises it to nothing."""
    batches = stream_of(data, batch_size=batch_size).validation()
    assert [len(batches.indices(step)) for step in range(len(batches))] == sizes
    assert [len(labels) for _, labels in batches] == sizes
    distinct, counts = batches.distinct()
    assert [len(count) for count in counts] == [len(distinct.indices(step)) for step in range(len(distinct))]
    assert len(batches.among(np.array([], np.int64))) == 0


def test_sha256_is_over_images_and_labels(data):
    train, val = split(data, 0)
    hashes = [
        Stream(data, train, val, SIZE, 8, 0, "caffe").validation().sha256(),
        Stream(data, train, val, SIZE, 8, 0, "torch").validation().sha256(),
        Stream(load(str(data.root), positive="cats"), train, val, SIZE, 8, 0, "caffe").validation().sha256(),
    ]
    assert len(set(hashes)) == 3
    assert stream_of(data).validation().sha256() == hashes[0]


@pytest.mark.parametrize("batch_size", [-1, 0, 65])
def test_a_batch_size_that_the_training_images_cannot_fill_is_refused(data, batch_size):
    with pytest.raises(
        InputError, match=rf"^--batch-size {batch_size}: .* has 64 images to train on.*1 to 64$"
    ):
        stream_of(data, batch_size=batch_size)


def test_training_images_of_one_class_are_refused(data):
    cats = np.flatnonzero(data.labels == 0)
    with pytest.raises(InputError, match="no training images of class dogs"):
        Stream(data, cats, cats, SIZE, 8, 0, "caffe")


def limited(data, limit: int):
    """The same data with a cache of ``limit`` bytes."""
    copy = load(str(data.root))
    copy.cache.limit = limit
    return copy


def test_the_cache_stays_below_its_limit_and_changes_nothing(data):
    image_bytes = SIZE * SIZE * 3
    small = limited(data, int(10.5 * image_bytes))
    batches, wanted = stream_of(small).images("train"), stream_of(data).images("train")
    used = []
    for _ in range(2):
        for (images, _), (others, _) in zip(batches, wanted, strict=True):
            np.testing.assert_array_equal(images, others)
            used.append(small.cache.used)
    assert max(used) == used[-1] == 10 * image_bytes


def test_the_cache_counts_an_image_made_by_two_threads_once():
    cache = Cache()
    outer = cache.get("x", lambda: cache.get("x", lambda: np.zeros(7, np.uint8)) + np.uint8(1))
    assert (outer[0], cache.used) == (1, 7)


def test_what_is_cached_is_not_decoded_again(data, monkeypatch):
    stream = stream_of(limited(data, 2**20))
    before = stream.images("train").sha256()
    monkeypatch.setattr("compare.data.dataset.read_image", None)
    assert stream.images("train").sha256() == before
    with pytest.raises(InputError):
        stream.validation().sha256()


def test_memory_is_bounded(data):
    small = limited(data, 2**18)
    train, val = split(small, 0)
    stream = Stream(small, train, val, 128, 4, 0, "caffe")  # 48 KiB an image, 3 MiB the whole
    batch_bytes = 4 * 128 * 128 * 3 * 4
    tracemalloc.start()
    try:
        for epoch in range(2):
            for batch in stream.epoch(epoch):
                del batch
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < small.cache.limit + 2.5 * batch_bytes


HASHES = """
import sys
import {first}
from compare.data import Stream, load, split
data = load(sys.argv[1])
for preprocessing in ("caffe", "torch"):
    stream = Stream(data, *split(data, 5, 40), 24, 8, 5, preprocessing)
    passes = stream.epoch(0), stream.epoch(1), stream.validation(), stream.fresh(10), stream.images("train")
    for batches in passes:
        print(batches.sha256())
print({second!r} in sys.modules)
"""


def test_both_frameworks_see_the_same_bytes(data):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", HASHES.format(first=first, second=second), str(data.root)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        for first, second in (("torch", "tensorflow"), ("keras", "torch"))
    ]
    printed = [worker.communicate()[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert printed[0] == printed[1]
    assert len(set(printed[0][:-1])) == 10
    assert printed[0][-1] == "False"
