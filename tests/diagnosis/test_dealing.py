"""The batches that a training dealt, found again by the hashes of their samples."""

import numpy as np
import pytest

from compare.diagnosis.data import batch_size_of
from compare.diagnosis.dealing import by_number, order_of
from compare.diagnosis.looking import fingerprints
from compare.diagnosis.reported import read
from compare.diagnosis.seen import Seen

X = np.arange(12.0).reshape(6, 2)


def test_samples_get_their_numbers_back():
    known = fingerprints([X])
    seen = [fingerprints([X[[4, 1]]]), fingerprints([X[[0, 5, 3, 2]]])]
    assert order_of(seen, known, 6) == [[4, 1], [0, 5, 3, 2]]


def test_twins_are_taken_in_turn_and_the_last_again():
    known = fingerprints([np.array([[1.0], [1.0], [2.0]])])
    one = known[0]
    assert order_of([(one, one, one)], known, 3) == [[0, 1, 1]]


def test_an_unknown_sample_or_another_number_of_them_is_no_deal():
    known = fingerprints([X])
    assert order_of([fingerprints([X + 1])], known, 6) is None
    assert order_of([known[:5]], known, 6) is None


def test_the_hash_is_of_all_inputs_together():
    assert fingerprints([X, X]) != fingerprints([X])
    assert fingerprints([X, X]) != fingerprints([X, X + 1])
    assert len(set(fingerprints([X]))) == 6


def test_arrays_and_loaders_are_taken_by_number():
    take, count = by_number(({"a": X, "b": X + 1}, X[:, 0]))
    inputs, targets = take([5, 0])
    assert count == 6
    assert inputs["b"].tolist() == [[11, 12], [1, 2]]
    assert targets.tolist() == [10, 0]

    class Loader:
        dataset, batch_sampler = list("abcdef"), object()
        collate_fn = staticmethod("".join)

    take, count = by_number(Loader())
    assert (take([2, 0, 2]), count) == ("cac", 6)
    assert by_number([(X, X)]) is None


def test_one_array_and_parts_in_a_list_are_taken_by_number_and_what_is_none_is_left_out():
    take, count = by_number(X)
    assert (take([5, 0]).tolist(), count) == ([[10, 11], [0, 1]], 6)
    take, count = by_number((X, [X[:, 0], X[:, 1]], None))
    assert ([part.tolist() for part in take([2])[1]], count) == ([[4], [5]], 6)


class Series:
    """Values that know their labels, like a Series of pandas."""

    shape, dtype = (3,), "int64"

    def __len__(self):
        return 3

    def __getitem__(self, which):
        assert isinstance(which, slice)
        return np.array([7, 8, 9])[which]

    def __array__(self, dtype=None, copy=None):
        return np.array([7, 8, 9])


def test_numbers_are_places_and_not_labels():
    take, count = by_number((X[:3], Series()))
    assert (take([2, 0])[1].tolist(), count) == ([9, 7], 3)


def test_what_was_seen_is_read_as_reported():
    seen = Seen()
    for part in (X[:4], X[4:]):
        seen.enter([part])
        seen(2.0)
    reported = read(seen)
    assert reported.fit == {"loss": 2.0}
    assert reported.batch_size == 4
    assert [len(batch) for batch in reported.batches] == [4, 2]
    beside = seen.reported({"loss": 1.0, "val_loss": 3.0})
    assert (beside.fit, beside.evaluate, beside.batches) == ({"loss": 1.0}, {"loss": 3.0}, reported.batches)


@pytest.mark.parametrize(
    ("count", "steps", "size"),
    [
        (512, 8, 64),
        (512, 16, 32),
        (100, 4, 32),
        (100, 2, 64),
        (500, 13, None),
        (100, None, None),
        (64, 1, None),
    ],
)
def test_the_batch_size_follows_from_a_historys_steps_where_it_is_a_power_of_two(count, steps, size):
    assert batch_size_of((np.zeros((count, 2)), np.zeros(count)), steps) == size
    assert batch_size_of([np.zeros((count, 2))], steps) is None


def test_a_history_of_keras_3_says_its_steps():
    class History:
        params = {"verbose": 0, "epochs": 2, "steps": 8}  # noqa: RUF012
        history = {"loss": [1.0, 0.5]}  # noqa: RUF012

    assert read(History()).steps == 8
