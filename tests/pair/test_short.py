"""One kind of layer after another, and one way to write it after another: right ports and such with one mistake."""

import pytest

from tests.pair.right import RIGHT
from tests.pair.wrong import WRONG


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_port_is_the_same_whatever_way_it_is_written(judge, name):
    case = RIGHT[name]
    outcome = judge(case.keras, case.torch, **case.options)
    assert outcome.verdict == "same", outcome.first
    assert not [one for one in outcome.map.left if one.side == "keras"]


@pytest.mark.parametrize("name", WRONG)
def test_one_mistake_is_found_where_it_is(judge, name):
    case = WRONG[name]
    outcome = judge(case.keras, case.torch, **case.options)
    assert outcome.verdict == "differs"
    assert (outcome.first["cause"], outcome.first["keras"]) == case.finds
