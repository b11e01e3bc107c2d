"""Which cause the term of a switch has, and whether it does harm: each bar from both sides."""

from math import nan

import pytest

from compare.diagnosis import switching
from compare.diagnosis.records import Term
from compare.diagnosis.side import Facts
from tests.diagnosis.cases import NORMALISATION, case, data, found, norm, passed

BOTH = NORMALISATION | {"dropout"}


def judged(term, value, uncertainty=0.0, **known):
    made = case(layers=[norm("bn")], **known)
    switching.find_switch(made, Term(term, value, uncertainty))
    return found(made)


@pytest.mark.parametrize(
    ("evaluated", "term"),
    [
        (1.0, "aggregation"),
        (1.5, "aggregation"),
        (0.5, "objective"),
        (1.5003, "objective"),
        ([1.5, 1.5, 1.5, 1.0], "objective"),
    ],
)
def test_an_objective_that_is_a_whole_multiple_in_every_batch_is_an_average(evaluated, term):
    made = case(switches=frozenset({"objective"}))
    made.measured.standing = {frozenset({"objective"}): passed(0.5), frozenset(): passed(evaluated)}
    assert switching.named(made, Term("objective", 1.0)).term == term
    if evaluated == 1.5:
        switching.find_switch(made, Term("aggregation", 1.0))
        assert "3 times training's" in made.findings[0].evidence


def test_what_a_switch_costs_in_some_orders_alone_is_no_cost_of_its_own():
    assert judged("batch-noise", 1.0, 0.2, evaluate=1.5) == {"batch-noise": True}
    assert judged("batch-noise", 1.0, 0.95, evaluate=1.5) == {}


@pytest.mark.parametrize(("averages", "causes"), [(0.55, {}), (1.5, {"batch-noise": True})])
def test_nor_is_what_it_costs_beside_another_switch_alone(averages, causes):
    standing = {BOTH: passed(0.5), NORMALISATION: passed(0.5), frozenset(): passed(1.5)}
    found_in = judged("batch-noise", 1.0, evaluate=1.5, averages=averages, switches=BOTH, standing=standing)
    assert found_in == causes


@pytest.mark.parametrize(
    ("batch", "evaluate", "causes"),
    [(16, 0.55, {}), (8, 0.55, {"batch-noise": True}), (8, 0.45, {}), (16, 1.5, {"batch-noise": True})],
)
def test_noise_of_batches_that_are_large_does_harm_only_where_evaluation_is_the_worse_one(
    batch, evaluate, causes
):
    made = case(layers=[norm("bn")], evaluate=evaluate)
    made.fit = data(batch=batch)
    switching.find_switch(made, Term("batch-noise", 1.0))
    assert found(made) == causes


@pytest.mark.parametrize(
    ("value", "objectives", "causes"),
    [
        (0.5, False, {"mode-override": True}),
        (0.08, True, {"objective": False}),
        (-0.5, True, {"objective": False}),
        (0.08, False, {}),
        (0.01, True, {}),
        (nan, True, {"objective": False}),
    ],
)
def test_code_that_reads_its_mode_does_harm_where_it_costs_and_else_may_be_another_objective(
    value, objectives, causes
):
    facts = Facts(parameters=10, objectives=objectives)
    assert judged("other-layers", value, fit=1.0, evaluate=1.0, facts=facts) == causes


@pytest.mark.parametrize(("value", "told"), [(0.02, True), (-0.02, True), (0.005, False), (nan, False)])
def test_dropout_is_told_however_small_both_losses_are(value, told):
    causes = judged("dropout", value, fit=0.2, evaluate=0.2)
    assert causes == ({"dropout": False} if told else {})
