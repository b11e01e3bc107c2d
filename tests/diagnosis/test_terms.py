"""Terms over switches: exact, symmetric, and with the spread over the orders as their uncertainty."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compare.diagnosis.averages import by_layer
from compare.diagnosis.measured import Measured
from compare.diagnosis.mixing import unmixed
from compare.diagnosis.probes import Probed
from compare.diagnosis.side import Facts, Pass, Seen, Step
from compare.diagnosis.terms import of_switches, shapley

PLAYERS = ("augmentation", "dropout", "normalisation")


def subsets(players):
    return [frozenset(part) for size in range(len(players) + 1) for part in combinations(players, size)]


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8))
def test_shares_add_up_to_the_fall_from_all_switches_on_to_none(losses):
    values = dict(zip(subsets(PLAYERS), losses, strict=True))
    shares = shapley(values)
    total = sum(value for value, _ in shares.values())
    assert total == pytest.approx(values[frozenset()] - values[frozenset(PLAYERS)], abs=1e-9)


def test_switches_that_do_not_interact_have_their_own_share_and_no_uncertainty():
    own = {"augmentation": 0.5, "dropout": -1.0, "normalisation": 3.0}
    losses = {on: 7.0 - sum(own[player] for player in on) for on in subsets(PLAYERS)}
    for player, (value, spread) in shapley(losses).items():
        assert value == pytest.approx(own[player])
        assert spread == pytest.approx(0.0, abs=1e-12)


def test_two_switches_that_only_act_together_share_alike_and_say_how_uncertain_that_is():
    losses = {
        on: 1.0 if {"dropout", "normalisation"} <= on else 0.0 for on in subsets(("dropout", "normalisation"))
    }
    assert shapley(losses) == {"dropout": (-0.5, 0.5), "normalisation": (-0.5, 0.5)}


def seen(between, expected, batches=12, mean=0.0):
    ones = np.ones(3)
    return Seen(100, ones * mean, ones, ones * mean, ones, ones * between, ones * expected, batches, 8)


def measured(one):
    passed = Pass([Step(1.0, 8, 8.0)], {"loss": 1.0}, {"bn": one})
    return Measured([], Facts(), Probed(), frozenset({"normalisation"}), passed, fit=passed)


def test_batches_that_lie_far_apart_are_unmixed_and_chance_is_not():
    assert unmixed(measured(seen(30.0, 1.0))) == ["bn"]
    assert unmixed(measured(seen(2.0, 1.0))) == []
    assert unmixed(measured(seen(1e-20, 1e-22, mean=1.0))) == []


@pytest.mark.parametrize(("ratio", "batches", "apart"), [(4.0, 12, False), (5.0, 12, True), (5.0, 5, False)])
def test_few_batches_lie_further_apart_by_chance(ratio, batches, apart):
    assert bool(unmixed(measured(seen(ratio, 1.0, batches=batches)))) == apart


@pytest.mark.parametrize(("dealt", "matters"), [(1.3, False), (1.7, True)])
def test_batches_that_lie_somewhat_apart_are_unmixed_where_dealing_them_anew_undoes_most(dealt, matters):
    done = measured(seen(4.0, 1.0))
    done.population, done.mixed = {}, (1.0, dealt)
    done.standing = {frozenset({"normalisation"}): done.fit, frozenset(): Pass([], {"loss": 2.0})}
    assert bool(unmixed(done)) == matters


@pytest.mark.parametrize(
    ("dealt", "unlike", "noise"), [(1.25, 0.25, 0.75), (1.75, 0.75, 0.25), (2.5, 1.0, 0.0), (0.5, 1.0, 0.0)]
)
def test_of_unmixed_batches_noise_is_what_dealing_them_anew_does_not_undo(dealt, unlike, noise):
    done = measured(seen(30.0, 1.0))
    done.population, done.mixed = {}, (1.0, dealt)
    done.under_averages = done.evaluate = Pass([], {"loss": 2.0})
    done.standing = {frozenset({"normalisation"}): done.fit, frozenset(): Pass([], {"loss": 2.0})}
    terms = {term.term: term.value for term in of_switches(done)}
    assert terms["unmixed-batches"] == pytest.approx(unlike)
    assert terms["batch-noise"] == pytest.approx(noise)


def test_two_batches_are_too_few_to_tell():
    assert unmixed(measured(seen(30.0, 1.0, batches=2))) == []


def test_a_layer_called_twice_goes_to_the_mean_of_both_calls():
    found = by_layer(
        {"bn": seen(0, 1, mean=1.0), "bn#2": seen(0, 1, mean=3.0), "other": seen(0, 1, mean=9.0)}
    )
    assert found["bn"][0].tolist() == found["bn#2"][0].tolist() == [2.0, 2.0, 2.0]
    assert found["other"][0].tolist() == [9.0, 9.0, 9.0]
