"""Whether two data sets number their classes alike is asked of what a network takes the samples for."""

import numpy as np
import pytest

from compare.diagnosis.numbering import renumbered
from compare.diagnosis.side import Pass, Step
from tests.diagnosis.cases import case

# of 100 samples of each of three classes
RIGHT = [[98, 1, 1], [2, 98, 0], [0, 2, 98]]


def taken(counts):
    """A pass in which so many samples of each class (a row) are taken for each (a column)."""
    counts = np.array(counts)
    labels, others = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    size = len(labels)
    outputs = 9.0 * np.eye(len(counts), dtype=np.float32)[others]
    return Pass([Step(0.1, size, size, outputs=outputs, targets=labels)], {"loss": 0.1})


def asked(theirs, ours=RIGHT):
    made = case(elsewhere=taken(theirs))
    made.measured.evaluate = taken(ours)
    return renumbered(made)


def test_classes_that_are_taken_for_one_another_are_numbered_otherwise():
    evidence, change = asked([[5, 90, 5], [0, 8, 92], [85, 10, 5]])
    assert change == "[1, 2, 0]"
    assert "0 for 1, 1 for 2, 2 for 0" in evidence
    assert "89% are right" in evidence
    assert "as they are 6%" in evidence


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ([[20, 80, 0], [80, 20, 0], [0, 20, 80]], True),
        ([[30, 70, 0], [70, 30, 0], [0, 30, 70]], False),  # right far less often than on fit's data
        ([[6, 94, 0], [51, 49, 0], [0, 2, 98]], True),
        ([[6, 94, 0], [48, 40, 12], [0, 2, 98]], False),  # no class holds most of one
        ([[0, 100, 0], [0, 100, 0], [0, 0, 100]], False),  # two for the same one
        (RIGHT, False),
        ([[0, 8, 0], [8, 0, 0], [0, 0, 8]], True),
        ([[0, 7, 0], [8, 0, 0], [0, 0, 8]], False),  # too few samples of a class
    ],
)
def test_each_bar_is_asked_from_both_sides(theirs, told):
    assert (asked(theirs) is not None) == told


@pytest.mark.parametrize(("right", "told"), [(68, True), (65, False)])
def test_a_network_that_is_often_wrong_on_fits_data_shows_nothing(right, told):
    ours = [[right, 100 - right, 0], [0, right, 100 - right], [100 - right, 0, right]]
    assert (asked([[0, 80, 20], [80, 20, 0], [20, 0, 80]], ours) is not None) == told
