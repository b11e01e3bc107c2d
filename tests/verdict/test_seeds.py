import math
import random

import pytest
from scipy import stats

from compare.verdict.seeds import estimate, holm, paired, side_by_side
from tests.support.judged import table_of
from tests.support.synthetic_run import make_cells


def draws(number, shift=0.0, seed=0):
    draw = random.Random(seed)
    return [draw.gauss(shift, 1) for _ in range(number)]


@pytest.mark.parametrize("number", [2, 3, 5, 30])
def test_the_interval_is_students(number):
    values = draws(number, 3)
    found = estimate(values)
    low, high = stats.t.interval(0.95, number - 1, loc=found.mean, scale=stats.sem(values))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high), rel=1e-9)
    assert found.seeds == number


def test_one_seed_has_no_interval_and_no_test():
    assert estimate([0.3]).half is None
    assert paired({0: 0.3}, {0: 0.1}) is None
    assert table_of(*make_cells()).tests() == [[], [], []]
    assert side_by_side({"fine-tune": {"keras": {0: 0.3}, "torch": {0: 0.1}}}) == []


def test_what_is_not_finite_has_no_interval_and_no_test():
    assert estimate([math.nan, 1.0]).half is None
    assert estimate([math.inf, 1.0]).half is None
    assert paired({0: math.nan, 1: 1.0}, {0: 0.0, 1: 0.0}) is None


@pytest.mark.parametrize("number", [2, 3, 10])
def test_p_is_that_of_the_paired_t_test(number):
    a, b = draws(number, 0.4, seed=1), draws(number, 0.0, seed=2)
    gap, p = paired(dict(enumerate(a)), dict(enumerate(b)))
    assert p == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)
    assert gap.mean == pytest.approx(sum(a) / number - sum(b) / number)


def test_seeds_are_paired_by_their_number_and_those_that_one_side_lacks_left_out():
    gap, p = paired({0: 1.0, 1: 2.0, 5: 9.0}, {1: 1.5, 0: 0.7, 7: -9.0})
    assert gap.seeds == 2
    assert p == pytest.approx(stats.ttest_rel([1.0, 2.0], [0.7, 1.5]).pvalue, rel=1e-9)


def test_equal_figures_are_no_difference_and_an_unvarying_difference_is_one():
    assert paired({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0})[1] == 1.0
    assert paired({0: 1.5, 1: 2.5}, {0: 1.0, 1: 2.0})[1] == 0.0


def test_holms_adjustment():
    # Holm 1979's method by hand: 0.01 x 3, 0.02 x 2, max(0.04, 0.03 x 1)
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_chance_alone_seldom_makes_a_family_of_tests_significant():
    def seeds(name):
        return dict(enumerate(draws(4, seed=name)))

    families = [holm([paired(seeds(f"{f}a{t}"), seeds(f"{f}b{t}"))[1] for t in range(6)]) for f in range(300)]
    wrong = sum(min(family) < 0.05 for family in families) / len(families)
    assert 0.01 < wrong < 0.09


def test_every_pair_is_tested_once():
    table = table_of(*make_cells(("frozen", "features", "fine-tune"), seeds=3))
    frameworks, _, torch = table.tests()
    assert [(test.within, test.a, test.b) for test in frameworks] == [
        (policy, "keras", "torch") for policy in ("frozen", "features", "fine-tune")
    ]
    pairs = [(test.a, test.b) for test in torch]
    assert pairs == [("frozen", "features"), ("frozen", "fine-tune"), ("features", "fine-tune")]


def test_a_difference_that_is_there_is_found():
    ((test,), *_) = table_of(*make_cells(("fine-tune",), seeds=5)).tests()
    assert test.gap.mean == pytest.approx(0.47, abs=0.1)
    assert test.p < 0.001
