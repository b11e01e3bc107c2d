"""One kind of layer after another, and one way to write it after another: right ports and such with one mistake."""

import pytest

from tests.pair.attention import ATTENTION_RIGHT, ATTENTION_WRONG
from tests.pair.brought import BROUGHT_RIGHT, BROUGHT_WRONG
from tests.pair.domains import DOMAINS_RIGHT, DOMAINS_WRONG
from tests.pair.inside import INSIDE
from tests.pair.places import MENDED, PLACES_RIGHT, PLACES_WRONG
from tests.pair.right import RIGHT
from tests.pair.trained import TRAINED_RIGHT, TRAINED_WRONG
from tests.pair.wrong import WRONG

RIGHTS = (RIGHT, TRAINED_RIGHT, ATTENTION_RIGHT, PLACES_RIGHT, BROUGHT_RIGHT, DOMAINS_RIGHT)
WRONGS = (WRONG, INSIDE, TRAINED_WRONG, ATTENTION_WRONG, PLACES_WRONG, BROUGHT_WRONG, DOMAINS_WRONG)
WHOLE = {name: case for each in RIGHTS for name, case in each.items()}
BROKEN = {name: case for each in WRONGS for name, case in each.items()}


def test_no_two_networks_have_one_name():
    assert len({*WHOLE, *BROKEN}) == sum(map(len, (*RIGHTS, *WRONGS)))


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
    assert (outcome.first.cause, outcome.first.keras) == case.finds


@pytest.mark.parametrize("name", MENDED)
def test_the_line_that_is_named_mends_the_port(judge, name):
    case, line = BROKEN[name], MENDED[name]
    found = judge(case.keras, case.torch).first.code
    code = found.partition("  #")[0]
    lines = {"before": f"{code}; {line}", "behind": f"{line}; {code}"}
    place = next((word for word in lines if f"# {word}" in found), None)
    mended = case.torch.replace(line, lines[place] if place else code)
    assert mended != case.torch
    assert judge(case.keras, mended).verdict == "same"


@pytest.mark.parametrize("name", [name for name in PLACES_RIGHT if "the steps" in name or "RMSprop" in name])
def test_an_optimizer_s_own_step_is_what_its_formula_makes_of_keras_s_arrays(judge, name):
    case = PLACES_RIGHT[name]
    stage = next(one for one in judge(case.keras, case.torch).stages if one.name == "native")
    assert stage.rows
    assert all(row.relative <= row.bar for row in stage.rows)
