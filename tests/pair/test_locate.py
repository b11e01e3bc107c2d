"""How far a pass may depart is what several twins show: one may stay near by chance."""

import numpy as np
import pytest

from compare.pair import locate
from compare.pair.records import Call, Seen

DEPARTS = 3e-12
X = np.random.default_rng(0).normal(size=(4, 6))


def passed(off):
    """A pass of one function, whose result is off by that much, relative."""
    call = Call(0, "tanh", "net", "net", "Tanh", ["v0"], ["v1"], [], {})
    return Seen([call], ["v0"], ["v1"], {"v0": X, "v1": np.tanh(X) * (1 + off)})


@pytest.mark.parametrize(
    ("twins", "apart"),
    [([1e-12], False), ([1e-14, 1e-12], False), ([1e-14, 1e-14, 1e-12], False), ([1e-14] * 3, True)],
    ids=["the first", "the second", "the third", "none"],
)
def test_the_furthest_of_three_twins_counts_where_the_first_does_not_explain_it(monkeypatch, twins, apart):
    monkeypatch.setattr(locate, "CAUSES", {})
    monkeypatch.setattr(locate, "FIRST", {})
    asked = []

    def twin(edits, number):
        asked.append(number)
        return passed(DEPARTS + twins[number])

    found = locate.locate(passed(0.0), lambda edits, until=None: passed(DEPARTS), ["v1"], [], twin, 1e-13, {})
    assert (found.departure is not None) == apart
    assert asked == list(range(len(twins)))
