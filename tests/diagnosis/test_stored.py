"""Which cause the last step of normalisation has, from what layers have stored: each bar from both sides."""

from types import SimpleNamespace

import numpy as np
import pytest

from compare.diagnosis import stored
from compare.diagnosis.side import Facts
from tests.diagnosis.cases import MEAN, VARIANCE, case, found, norm, passed

OFF = MEAN + 5


def judged(*layers, value=1.0, evaluate=None, **known):
    """A case whose last step costs so much."""
    made = case(fit=0.5, evaluate=0.5 + value if evaluate is None else evaluate, layers=layers, **known)
    made.subject = SimpleNamespace(run=lambda *_, **__: passed(0.5))
    stored.judge(made, value)
    return made


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, "stale-statistics"),
        ({"decay": 0.5}, "decay"),  # stands for 3 batches
        ({"decay": 0.53}, "stale-statistics"),  # for 3.3
        ({"moves": False}, "foreign-statistics"),
        ({"moves": False, "virgin": True}, "stale-statistics"),
        ({"frozen": True}, "not-frozen"),
        ({"faults": ("NaN in 1 of 3 means",)}, "numerics"),
    ],
)
def test_a_layer_far_off_has_the_cause_that_it_does(changes, cause):
    assert found(judged(norm("bn", mean=OFF, **changes))) == {cause: True}


@pytest.mark.parametrize(
    ("changes", "cause"), [({"frozen": True}, "not-frozen"), ({"faults": ("NaN",)}, "numerics")]
)
def test_what_only_looks_frozen_or_is_broken_is_told_though_it_costs_nothing(changes, cause):
    assert found(judged(norm("bn", **changes), value=0.0)) == {cause: True}
    assert found(judged(norm("bn"), value=0.0)) == {}


def test_a_layer_that_only_looks_frozen_does_no_harm_where_nothing_trains():
    assert found(judged(norm("bn", frozen=True), value=0.0, facts=Facts(trains=False))) == {}


@pytest.mark.parametrize(
    ("initial", "steps", "cause"),
    [(4, None, "other-weights"), (6, None, "stale-statistics"), (4, 3, "stale-statistics")],
)
def test_statistics_as_they_were_made_beside_trained_weights_are_a_copy_without_buffers(
    initial, steps, cause
):
    facts = Facts(initial=tuple("abcdefgh"[:initial]), parameters=10)
    virgin = {"virgin": True, "mean": np.zeros(3), "variance": np.ones(3), "steps": steps}
    assert found(judged(norm("a", **virgin), norm("b", **virgin), facts=facts)) == {cause: True}


@pytest.mark.parametrize(
    ("place", "power", "beside", "broken"),
    [(1, 8, 0, True), (1, 6, 0, False), (0, 8, 0, False), (1, 8, 2, False)],
    ids=["one alone", "what a batch may do", "the first, whose inputs may be others", "its neighbours too"],
)
def test_variances_that_no_batch_can_have_given_are_broken_where_one_layer_has_them(
    place, power, beside, broken
):
    layers = [norm(name, variance=VARIANCE * np.exp(beside)) for name in "abc"]
    layers[place] = norm("abc"[place], variance=VARIANCE * np.exp(power))
    made = judged(*layers)
    assert ("numerics" in found(made)) == broken
    if broken:
        assert next(f.layers for f in made.findings if f.cause == "numerics") == ("b",)


def test_an_average_that_has_arrived_does_no_harm_where_evaluation_is_no_worse():
    assert found(judged(norm("bn", mean=OFF, steps=100), evaluate=0.5)) == {}
    assert found(judged(norm("bn", mean=OFF, steps=5), evaluate=0.5)) == {"stale-statistics": True}


@pytest.mark.parametrize("left", [0.0, 0.5])
def test_what_few_batches_may_do_by_chance_is_a_cause_only_where_initial_values_are_left(left):
    half = {"mean": MEAN / 2, "variance": (1 + VARIANCE) / 2, "steps": 5}
    row = norm("bn", **half) if left else norm("bn", mean=OFF)
    made = case(fit=[0.0, 2.0, 0.0, 2.0], evaluate=[3.0, 1.0, 3.0, 1.0], layers=[row])
    assert made.chance() == pytest.approx(2.0)
    stored.judge(made, 1.0)
    assert found(made) == ({"stale-statistics": True} if left else {})


def test_the_share_of_the_initial_values_is_told_where_what_is_stored_is_a_mixture_with_them():
    for left in (0.1, 0.5, 1.0):
        row = norm("bn", mean=(1 - left) * MEAN, variance=left + (1 - left) * VARIANCE)
        assert stored.drift(row, MEAN, VARIANCE).left == pytest.approx(left)
    half = norm("bn", mean=MEAN / 2 + [3, 0, 0], variance=(1 + VARIANCE) / 2)
    assert stored.drift(half, MEAN, VARIANCE).left is None  # a fourth of it is neither
    assert stored.drift(norm("bn", mean=OFF), MEAN, VARIANCE).left is None
    assert stored.drift(norm("bn"), MEAN, VARIANCE).left is None


@pytest.mark.parametrize(("steps", "cause"), [(6, "stale-statistics"), (100, "input-scale")])
def test_inputs_of_another_scale_are_no_cause_where_initial_values_are_left_as_the_steps_have_it(
    steps, cause, monkeypatch
):
    monkeypatch.setattr(stored, "changed_inputs", lambda case: True)
    made = case(evaluate=1.5, layers=[norm("bn", mean=MEAN / 2, variance=(1 + VARIANCE) / 2, steps=steps)])
    made.fit.prepared = False
    stored.judge(made, 1.0)
    assert [term.term for term in made.terms] == [cause]
