"""Judgements: whether there is a gap, in which metric, from what, and what mends it. The prose is in prose.txt."""

import ast
import re
from pathlib import Path

import pytest

from compare.gap.records import METRICS
from compare.spec import DECAY, POLICIES, Behaviour
from compare.verdict.cures import FREEZE, REESTIMATE, decay_for, lower_decay
from compare.verdict.figures import Beside
from compare.verdict.judge import judge
from compare.words import plain
from tests.support.judged import ABOVE, BELOW, LAGGING, figures, judged, planted, unexplained
from tests.support.synthetic_run import make_cell, make_explanation

# with the terms


def test_the_largest_term_is_the_cause():
    found = judged(planted("fine-tune", moving_statistics=(0.97, -0.1), weights_moved=(0.03, 0.0)))
    assert (found.finding, found.metric, found.source) == ("gap", "loss", "lagging")
    assert (found.cause, found.measured) == ("stale-statistics", True)
    assert found.gap == pytest.approx(1.0)


def test_a_term_larger_than_the_gap_is_its_cause():
    found = judged(planted("frozen-batch-stats", moving_statistics=(0.15, 0.0), dropout=(-0.1, 0.0)))
    assert (found.finding, found.source, found.cause) == ("gap", "foreign", "foreign-statistics")
    assert found.gap == pytest.approx(0.05)


@pytest.mark.parametrize("policy", ["frozen", "fine-tune", "frozen-batch-stats"])
@pytest.mark.parametrize("term", ["dropout", "weights_moved"])
def test_dropout_and_moving_weights_are_harmless_and_have_no_cure(policy, term):
    found = judged(planted(policy, **{term: (0.3, -0.05)}))
    assert found.cause == term.replace("_", "-")
    assert "harmless" in found.why
    assert found.cures == ()


@pytest.mark.parametrize(
    ("policy", "framework", "cures"),
    [
        ("frozen-batch-stats", "keras", (FREEZE, REESTIMATE)),
        ("frozen-drifting", "torch", (FREEZE, REESTIMATE)),
        ("fine-tune", "keras", (lower_decay(0.89), REESTIMATE)),
        ("bn-trainable", "keras", (lower_decay(0.89), REESTIMATE)),
        ("fine-tune-recalibrated", "torch", (REESTIMATE,)),
    ],
)
def test_the_cure_of_moving_statistics_suits_the_policy(policy, framework, cures):
    found = judged(planted(policy, framework, moving_statistics=(0.5, -0.1)))
    assert [cure.what for cure in found.cures] == [cure.what for cure in cures]


def test_a_lower_decay_is_no_cure_where_there_were_steps_enough():
    cell = planted("fine-tune", "torch", moving_statistics=(0.5, -0.1))
    for layer in cell["explanations"][0]["layers"]:
        layer["steps"] = layer["steps_needed"]
    assert judged(cell).cures == (REESTIMATE,)
    assert judged(cell).why.endswith("(decay 0.9)")
    for layer in cell["explanations"][0]["layers"]:
        layer["steps"] -= 1
    assert judged(cell).cures == (REESTIMATE,)


def test_batch_noise_is_mended_by_frozen_bn_alone():
    found = judged(planted("bn-trainable", batch_noise=(0.5, -0.1), moving_statistics=(0.1, 0.0)))
    assert found.cause == "batch-noise"
    assert found.cures == (FREEZE,)
    assert not any("re-estimated" in line for line in found.more)


def test_a_gap_that_dropout_hides_is_found():
    found = judged(planted("frozen-drifting", moving_statistics=(0.1, 0.0), dropout=(-0.15, 0.0)))
    assert (found.finding, found.cause) == ("hidden", "stale-statistics")
    assert found.cures == (FREEZE, REESTIMATE)
    calm = judged(planted("frozen-drifting", moving_statistics=(0.01, 0.0), dropout=(-0.15, 0.0)))
    assert (calm.finding, calm.cause, calm.cures) == ("none", "", ())


def test_what_the_order_of_switching_matters_is_taken_off_a_hidden_gap():
    cell = planted("frozen-drifting", moving_statistics=(0.1, 0.0), dropout=(-0.15, 0.0))
    cell["explanations"][0]["terms"]["loss"]["moving-statistics"]["uncertainty"] = 0.18
    assert judged(cell).finding == "none"


def test_a_gap_in_accuracy_alone_is_explained_in_accuracy():
    found = judged(planted("fine-tune", moving_statistics=(0.0, -0.06), dropout=(0.0, 0.01)))
    assert (found.finding, found.metric, found.cause) == ("gap", "accuracy", "stale-statistics")
    assert found.gap == pytest.approx(-0.05)


def test_a_gap_that_closed_by_the_last_epoch_is_explained_where_it_was():
    cell = make_cell("fine-tune", "keras", gap=(0.4, -0.1))
    last = cell["history"][-1]
    last["evaluate"] |= {metric: last["fit"][metric] for metric in METRICS}
    cell["explanations"][1] = make_explanation(last, "last", policy="fine-tune")
    found = judged(cell)
    assert (found.finding, found.cause, found.late) == ("gap", "stale-statistics", False)
    assert "140 steps at decay 0.99" in found.why
    del cell["explanations"][0]
    assert (judged(cell).finding, judged(cell).cause) == ("gap", "")


def test_a_gap_of_bn_that_shows_in_the_last_epoch_alone_is_no_hidden_one():
    cell = make_cell("fine-tune", "keras", gap=(-0.1, 0.02))
    last = cell["history"][-1]
    last["evaluate"]["loss"] = last["fit"]["loss"] + 0.3
    cell["explanations"][1] = make_explanation(last, "last", policy="fine-tune")
    found = judged(cell)
    assert (found.finding, found.metric, found.late) == ("gap", "loss", True)
    assert found.gap == pytest.approx(0.3)
    assert "hidden" not in plain(found.sentence)


def test_the_figures_behind_a_cure_are_told():
    cell = planted("frozen-batch-stats", moving_statistics=(0.5, -0.1))
    level = cell["history"][-1]["fit"]["loss"]
    frozen = make_cell("frozen", "keras", epochs=1)
    frozen["history"][-1]["val"]["accuracy"], cell["history"][-1]["val"]["accuracy"] = 0.75, 0.5
    worst, stage, reestimated, beside = judged(cell, frozen).more
    assert "conv5_block3_3_bn" in worst
    assert "conv5" in stage
    assert f"{level:.2f} instead of {level + 0.5:.2f}" in reestimated
    assert "As frozen," in beside
    assert "75.0 % (here 50.0 %)" in beside


def test_a_penalty_on_the_weights_is_in_both_figures_and_said():
    cell = planted("frozen-batch-stats", moving_statistics=(0.5, -0.1))
    assert "penalty" not in " ".join(judged(cell).more)
    cell["explanations"][0]["penalty"] = 0.0134
    assert [line for line in judged(cell).more if line.startswith("0.013 of both losses is a penalty")]


@pytest.mark.parametrize("cure", [FREEZE, REESTIMATE, lower_decay(0.9)])
@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_a_cure_is_three_lines_of_python(cure, framework):
    ast.parse(cure.code[framework])
    assert len(cure.code[framework].splitlines()) == 3


@pytest.mark.parametrize(("steps", "decay"), [(1000, 0.9), (29, 0.9), (28, 0.89), (10, 0.74), (1, 0.05)])
def test_the_decay_brings_the_lag_below_five_percent_in_the_steps_there_are(steps, decay):
    assert decay_for(steps) == decay
    assert decay**steps <= 0.05


# without the terms


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
@pytest.mark.parametrize("explained", [True, False])
@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_the_judgement_turns_when_the_figures_do(policy, backbone, explained, framework):
    def found(gap):
        return judged(make_cell(policy, framework, gap=gap, backbone=backbone, explained=explained))

    above, below = found(ABOVE), found(BELOW)
    assert (above.finding, above.metric, above.measured) == ("gap", "loss", explained)
    assert above.sentence[0].tone == "worse"
    assert above.sentence[0].text == "gap"
    assert (below.finding, below.cures) == ("none", ())
    assert below.sentence[0].tone == "well"
    assert below.sentence[0].text.startswith("no ")


@pytest.mark.parametrize(
    ("policy", "source", "words"),
    [
        ("frozen-batch-stats", "foreign", "the pretrained data's statistics"),
        ("frozen-drifting", "lagging", "lag behind (decay 0.99)"),
        ("fine-tune", "lagging", "lag behind"),
        ("frozen", "same", "not BN's: fit and evaluate both use the moving statistics"),
        ("batch-stats", "same", "not BN's: fit and evaluate both use the batch statistics"),
        ("fine-tune-recalibrated", "re-estimated", "re-estimated before evaluate"),
    ],
)
def test_the_cause_follows_from_what_the_policy_does(policy, source, words):
    found = judged(unexplained(policy))
    assert (found.source, found.cause, found.measured) == (source, "", False)
    assert words in found.why


def test_a_policy_that_could_have_a_gap_and_has_none_says_so():
    found = judged(unexplained("frozen-batch-stats", gap=BELOW))
    assert (found.finding, found.source, found.why) == ("none", "foreign", "")
    assert "though" in plain(found.sentence)


def test_accuracy_alone_makes_a_gap():
    found = judged(unexplained("frozen-batch-stats", gap=(0.0, -0.06)))
    assert (found.finding, found.metric) == ("gap", "accuracy")


def test_a_loss_that_is_not_a_number_is_a_gap():
    found = judged(unexplained("fine-tune", gap=(float("nan"), 0.03)))
    assert (found.finding, found.metric) == ("gap", "loss")


def test_a_gap_behind_dropouts_own_effect_is_found_by_the_frozen_policy():
    cell = unexplained("frozen-batch-stats", "torch", gap=(0.0, 0.0))
    frozen = unexplained("frozen", "torch", gap=(-0.1, 0.04))
    near = unexplained("frozen", "torch", gap=(-0.01, 0.0))
    assert judged(cell, frozen).finding == "hidden"
    assert judged(cell, near).finding == "none"
    assert judged(cell).finding == "none"


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_the_decays_are_the_ones_that_the_layers_have(framework):
    layers = (Path(__file__).parents[2] / f"{framework}_impl" / "layers.py").read_text()
    assert float(re.search(r"^DECAY = ([\d.]+)", layers, re.M)[1]) == DECAY["native"][framework]


# of a person's own model, which has behaviour and figures, and neither a policy's nor a backbone's name


def test_a_model_with_a_loss_alone_is_judged():
    found = judge(LAGGING, figures(1.5), whose="another data set's")
    assert (found.finding, found.metric, found.source, found.gap) == ("gap", "loss", "lagging", 1.5)
    assert "accuracy" not in plain(found.sentence)
    foreign = judge(Behaviour("batch", False, "moving"), figures(1.5), whose="another data set's")
    assert foreign.source == "foreign"
    assert "another data set's statistics" in foreign.why
    assert judge(LAGGING, figures(-0.1)).finding == "none"


def test_a_model_without_bn_has_no_bn_gap():
    found = judge(None, figures(1.5))
    assert (found.finding, found.source, found.cures) == ("gap", "no BN", ())
    assert "the model has none" in found.why


def test_a_training_beside_is_called_by_the_name_that_it_is_given():
    beside = Beside("yesterday's", figures(-0.3))
    assert judge(Behaviour("batch", False, "moving"), figures(0.0), beside=beside).finding == "hidden"
    assert judge(Behaviour("moving", False, "moving"), figures(0.0), beside=beside).finding == "none"
