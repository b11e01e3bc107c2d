"""What counts as a difference between two losses, beside what a network without any skill has."""

from math import nan

import pytest

from tests.diagnosis.cases import case, passed


@pytest.mark.parametrize(
    ("fit", "evaluate", "named", "harmful"),
    [(1.0, 1.0, 0.06, 0.1), (2.0, 1.0, 0.1, 0.2), (1.0, 4.0, 0.2, 0.4), (0.1, 0.1, 0.06, 0.06)],
)
def test_a_term_is_named_and_harmful_by_its_share_of_the_larger_loss_or_of_an_unskilled_one(
    fit, evaluate, named, harmful
):
    made = case(fit=fit, evaluate=evaluate)  # beside other targets the loss is 3.0
    assert (made.matters(0.98 * named), made.matters(1.02 * named)) == (False, True)
    assert (made.costs(0.98 * harmful), made.costs(1.02 * harmful)) == (False, True)
    assert (made.matters(-1.02 * named), made.costs(-9.0)) == (True, False)
    assert made.matters(nan)
    assert made.costs(nan)


def test_however_small_both_losses_are_a_twentieth_is_a_difference():
    made = case(fit=0.1, evaluate=0.1)
    assert (made.differs(0.0049), made.differs(0.0051), made.differs(-0.0051)) == (False, True, True)


@pytest.mark.parametrize(("constant", "trifle"), [(None, 0.06), (2.0, 0.06), (0.8, 0.04)])
def test_a_trifle_is_less_beside_a_network_that_says_always_the_same(constant, trifle):
    made = case()
    made.measured.fit = passed(0.5, constant=constant)
    assert (made.floor, made.trifle) == (pytest.approx(0.06), pytest.approx(trifle))


def test_chance_is_twice_the_standard_error_of_the_batches_differences():
    made = case(fit=[1.0, 1.0, 1.0, 1.0], evaluate=[2.0, 3.0, 2.0, 3.0])
    assert made.chance() == pytest.approx(0.5)
    assert not made.costs(0.45)
    assert made.costs(0.45, chance=False)
    assert case(fit=[1.0, 1.0], evaluate=[2.0, 3.0]).chance() == 0.0
