"""What makes figures unreliable: each bar from both sides."""

from math import inf, nan

import pytest

from compare.diagnosis import modes
from tests.diagnosis.cases import case, found, norm, passed
from torch_impl.evidence import Override


def judged(made):
    modes.judge(made)
    return found(made)


def by_batch(evaluate, **known):
    made = case(
        fit=0.5, evaluate=evaluate, layers=[norm("bn", evaluate="batch", flag_evaluate="batch")], **known
    )
    made.measured.probed.alone = "differs"
    return made


@pytest.mark.parametrize(
    ("evaluate", "restacked", "harms"),
    [(1.0, 1.2, False), (1.0, 1.3, True), (1.0, 0.7, True), (0.1, 0.2, False), (0.1, 0.3, True)],
)
def test_batches_statistics_in_evaluation_do_harm_where_other_batches_cost_dearly(evaluate, restacked, harms):
    made = by_batch(evaluate, restacked=restacked)
    assert judged(made) == ({"mode-in-evaluation": True} if harms else {})


def test_or_where_a_sample_alone_does():
    for alone, harms in ((2.0, True), (1.1, False), (0.1, False)):
        made = by_batch(1.0)
        made.measured.probed.by_itself = (alone, 1.0)
        assert judged(made) == ({"mode-in-evaluation": True} if harms else {})


@pytest.mark.parametrize(
    ("half", "full", "told"), [(1.0, 1.005, False), (1.0, 1.02, True), (inf, 1.0, True), (1.0, nan, False)]
)
def test_a_loss_that_half_precision_makes_another_is_told(half, full, told):
    made = case(fit=1.0, evaluate=1.0)
    made.measured.evaluate = passed(half, loss_in_float32=full)
    made.measured.nonfinite = None
    causes = judged(made)
    assert ("float32" in "".join(f.evidence for f in made.findings if f.cause == "numerics")) == (
        told and half < inf
    )
    assert ("numerics" in causes) == told


def test_the_penalty_is_no_part_of_what_half_precision_does():
    made = case()
    made.measured.evaluate = passed(1.5, loss_in_float32=1.0, penalty=0.5)
    assert judged(made) == {}


def test_losses_that_are_no_numbers_are_told_with_the_layer_unless_stored_values_are():
    for faults, causes in (((), {"numerics": True}), (("NaN in 1 of 3 means",), {})):
        made = case(evaluate=[0.5, nan, 0.5, 0.5], layers=[norm("bn", faults=faults)], nonfinite="dense")
        assert judged(made) == causes
    made = case(evaluate=[0.5, nan, 0.5, 0.5], nonfinite="dense")
    modes.judge(made)
    assert made.findings[0].layers == ("dense",)
    assert "1 of 4 batches" in made.findings[0].evidence


@pytest.mark.parametrize(("evaluate", "causes"), [(0.5, {}), (1.5, {"mode-override": True}), (0.1, {})])
def test_a_layer_that_is_to_act_in_evaluation_too_and_does_not_is_told_where_that_costs(evaluate, causes):
    row = norm("bn", flag_evaluate="batch", override=Override("its call says training=True", "call"))
    assert judged(case(evaluate=evaluate, layers=[row])) == causes


@pytest.mark.parametrize(("evaluate", "told"), [(0.5, False), (0.51, False), (0.55, True), (0.1, True)])
def test_nor_is_dropout_that_is_to_act_in_evaluation_too_where_that_changes_nothing(evaluate, told):
    row = norm("drop", role="dropout", fit="on", evaluate="off", flag_fit="on", flag_evaluate="on",
               override=Override("its call says training=True", "call"))  # fmt: skip
    assert judged(case(evaluate=evaluate, layers=[row])) == ({"mode-override": True} if told else {})


def test_a_model_in_evaluation_mode_inside_its_training_step_is_told_where_something_is_idle():
    class Seen:
        figures, modes = {"loss": 0.5}, {"": False}

    idle = norm("bn", fit="moving", flag_fit="moving", switch=False, moves=False)
    assert judged(case(layers=[idle], reported=Seen())) == {"mode-override": True}
    assert judged(case(layers=[norm("bn")], reported=Seen())) == {}
    assert judged(case(layers=[idle])) == {}


def test_random_evaluations_that_nobody_makes_do_no_harm():
    for evaluates, harmful in ((True, True), (False, False)):
        made = case()
        made.stepped, made.measured.probed.twice, made.measured.probed.losses = True, "differs", [0.4, 0.6]
        made.measured.facts = type(made.measured.facts)(evaluates=evaluates)
        assert judged(made) == {"random-evaluation": harmful}
