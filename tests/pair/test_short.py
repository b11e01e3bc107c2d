"""One kind of layer after another, and one way to write it after another: right ports and such with one mistake."""

import pytest

from tests.pair.inside import INSIDE
from tests.pair.right import RIGHT
from tests.pair.trained import TRAINED_RIGHT, TRAINED_WRONG
from tests.pair.wrong import WRONG

WHOLE = {**RIGHT, **TRAINED_RIGHT}
BROKEN = {**WRONG, **INSIDE, **TRAINED_WRONG}


def test_no_two_networks_have_one_name():
    each = (RIGHT, WRONG, INSIDE, TRAINED_RIGHT, TRAINED_WRONG)
    assert len(WHOLE) + len(BROKEN) == sum(map(len, each))


@pytest.mark.parametrize("name", WHOLE)
def test_a_right_port_is_the_same_whatever_way_it_is_written(judge, name):
    case = WHOLE[name]
    outcome = judge(case.keras, case.torch, **case.options)
    assert outcome.verdict == "same", outcome.first
    assert not [one for one in outcome.map.left if one.side == "keras"]


@pytest.mark.parametrize("name", BROKEN)
def test_one_mistake_is_found_where_it_is(judge, name):
    case = BROKEN[name]
    outcome = judge(case.keras, case.torch, **case.options)
    assert outcome.verdict == "differs"
    assert (outcome.first["cause"], outcome.first["keras"]) == case.finds
