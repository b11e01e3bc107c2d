"""A data set is read and hashed once, and goes to the workers without its pixels."""

import pickle

import numpy as np
import pytest

from compare.data import dataset, kept, load
from tests.support.image_files import two_classes


@pytest.fixture
def data(tmp_path):
    return load(str(two_classes(tmp_path / "images", 9, 6)))


def test_it_arrives_small_and_reads_the_same_without_a_check(data, monkeypatch):
    image = data.read(3, 32)

    def inspect(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(dataset, "inspect", inspect)
    sent = pickle.dumps(data)
    arrived = pickle.loads(sent)
    assert len(sent) < 3000 < data.cache.used
    assert (arrived.names, arrived.classes, arrived.sha256) == (data.names, data.classes, data.sha256)
    assert arrived.cache.used == 0
    np.testing.assert_array_equal(arrived.read(3, 32), image)


def test_the_next_cell_finds_what_the_one_before_has_decoded(data, tmp_path):
    first, second = (pickle.loads(pickle.dumps(data)) for _ in range(2))
    assert kept(first).read(0, 16) is kept(second).read(0, 16)
    other = load(str(two_classes(tmp_path / "others", 9, 7)))
    assert kept(other) is other
    assert kept(second) is second
