import re
from pathlib import Path

import pytest

from compare.report import answer, verdict
from compare.report.summary import groups
from compare.spec import POLICIES
from tests.synthetic_run import make_cell, make_cells

ABOVE, BELOW, LEVEL = (0.3, -0.08), (-0.07, 0.03), (0.005, 0.0)


def group_of(*cells, weights="pretext"):
    (group,) = groups({"weights": {"source": weights}}, cells)
    return group


def sentence(policy, keras=None, torch=None, **settings):
    gaps = {"keras": keras, "torch": torch}
    cells = [make_cell(policy, name, gap=gap, **settings) for name, gap in gaps.items() if gap]
    return verdict.sentence(POLICIES[policy], group_of(*cells))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_the_sentence_turns_when_the_figures_do(policy, backbone):
    gap = sentence(policy, ABOVE, ABOVE, backbone=backbone)
    calm = sentence(policy, BELOW, BELOW, backbone=backbone)
    assert re.match(r"gap\b", gap)
    assert re.match(r"no (BN, no BN )?gap\b", calm)
    assert "Keras:" not in gap + calm


@pytest.mark.parametrize(
    ("policy", "cause"),
    [
        (
            "frozen-batch-stats",
            "evaluates with the pretrained data's statistics what it trained with the batch's",
        ),
        ("frozen-drifting", "the moving statistics lag behind (decay 0.99 in Keras, 0.9 in PyTorch)"),
        ("fine-tune", "the moving statistics lag behind"),
        ("frozen", "but not BN's: fit and evaluate both use the moving statistics"),
        ("batch-stats", "but not BN's: fit and evaluate both use the batch statistics"),
        ("fine-tune-recalibrated", "though the statistics are re-estimated before evaluate"),
    ],
)
def test_the_cause_follows_from_what_the_policy_does(policy, cause):
    assert cause in sentence(policy, ABOVE, ABOVE)


def test_a_policy_that_could_have_a_gap_and_has_none_says_so():
    assert sentence("frozen-batch-stats", BELOW, BELOW) == (
        "no gap measured, though it evaluates with the pretrained data's statistics what it trained with the batch's"
    )


def test_frameworks_that_differ_are_told_apart_with_their_decays():
    assert sentence("fine-tune", (0.3, 0.0), BELOW) == (
        "gap in Keras: the moving statistics lag behind (decay 0.99); "
        "no gap in PyTorch: the moving statistics keep up (decay 0.9)"
    )


def test_what_a_gap_costs_in_accuracy_is_told():
    keras, torch = (make_cell("frozen-batch-stats", name, epochs=1) for name in ("keras", "torch"))
    for cell, lost in ((keras, 0.08), (torch, 0.05)):
        cell["history"][0]["evaluate"]["accuracy"] = cell["history"][0]["fit"]["accuracy"] - lost
    policy = POLICIES["frozen-batch-stats"]
    assert verdict.sentence(policy, group_of(keras, torch)).endswith("batch's, accuracy 5 to 8 points lower")
    assert verdict.sentence(policy, group_of(keras)).endswith("batch's, accuracy 8 points lower")


def test_matched_numerics_have_one_decay():
    text = sentence("fine-tune", ABOVE, ABOVE, numerics="matched")
    assert "(decay 0.99)" in text
    assert "PyTorch" not in text


def test_a_loss_level_with_fits_is_not_called_below_it():
    assert sentence("frozen", LEVEL) == "no gap: evaluate's loss is level with fit's"
    assert sentence("frozen", BELOW) == "no gap: evaluate's loss is below fit's (no dropout in it)"


def test_accuracy_alone_makes_a_gap():
    assert sentence("frozen-batch-stats", (0.0, -0.06)).startswith("gap:")


def test_a_loss_that_is_not_a_number_is_a_gap():
    assert sentence("fine-tune", (float("nan"), 0.03)).startswith("gap:")


def test_the_mean_over_the_epochs_decides_and_the_last_epoch_is_told():
    cell = make_cell("fine-tune", "keras", gap=(0.3, 0.0))
    cell["history"][-1]["evaluate"]["loss"] = cell["history"][-1]["fit"]["loss"] - 0.05
    text = verdict.sentence(POLICIES["fine-tune"], group_of(cell))
    assert text == "gap: the moving statistics lag behind (decay 0.99); closed by the last epoch"


def test_imagenets_statistics_are_called_by_their_name():
    group = group_of(make_cell("frozen-batch-stats", "keras", gap=ABOVE), weights="imagenet")
    assert "ImageNet's statistics" in verdict.sentence(POLICIES["frozen-batch-stats"], group)


def test_a_gap_behind_dropouts_own_effect_is_found_by_the_frozen_policy():
    cell = make_cell("frozen-batch-stats", "torch", gap=(0.0, 0.0))
    frozen = make_cell("frozen", "torch", gap=(-0.1, 0.04))
    near = make_cell("frozen", "torch", gap=(-0.01, 0.0))
    policy = POLICIES["frozen-batch-stats"]
    assert verdict.sentence(policy, group_of(cell, frozen)).startswith("hidden gap: evaluate gains 0.1")
    assert verdict.sentence(policy, group_of(cell, near)).startswith("no gap measured")
    assert verdict.sentence(policy, group_of(cell)).startswith("no gap measured")
    assert "frozen-batch-stats hides one" in answer.answer(group_of(cell, frozen))[0]


def test_a_failed_framework_is_named_and_the_other_told():
    cells = make_cells(("frozen",), failed=[("frozen", "torch", 0)])
    text = verdict.sentence(POLICIES["frozen"], group_of(*cells))
    assert text == "no gap in Keras: evaluate's loss is below fit's (no dropout in it); failed in PyTorch"


def test_the_answer_names_who_parts_who_closes_and_where_frameworks_differ():
    cells = [
        make_cell("frozen-batch-stats", "keras", gap=ABOVE),
        make_cell("frozen-batch-stats", "torch", gap=ABOVE),
        make_cell("frozen", "keras", gap=BELOW),
        make_cell("frozen", "torch", gap=BELOW),
        make_cell("fine-tune", "keras", gap=ABOVE),
        make_cell("fine-tune", "torch", gap=BELOW),
    ]
    parting, closing, differing = answer.answer(group_of(*cells))
    assert re.match(
        r"frozen-batch-stats \(Keras \+0\.\d\d, PyTorch \+0\.\d\d\) and fine-tune \(Keras \+0", parting
    )
    assert closing == "frozen shows no gap."
    assert re.match(
        r"Keras and PyTorch differ in fine-tune \(Keras \+0\.\d\d, PyTorch -0\.\d\d\): a step", differing
    )


def test_the_answer_turns_when_the_figures_do():
    calm = [
        make_cell(policy, name, gap=BELOW)
        for policy in ("frozen", "fine-tune")
        for name in ("keras", "torch")
    ]
    calm[1]["history"][-1]["val"]["loss"] = 0.0123
    parting, closing, differing = answer.answer(group_of(*calm))
    assert parting == "No policy evaluates worse than it fits on the same samples."
    assert closing == (
        "frozen and fine-tune show no gap; frozen in PyTorch has the lowest validation loss of them (0.01)."
    )
    assert differing == "Keras and PyTorch agree on every policy."


def test_the_answer_on_vgg16_is_that_there_is_no_bn():
    lines = answer.answer(
        group_of(*make_cells(("frozen", "fine-tune"), ("keras",), backbone="vgg16", gap=BELOW))
    )
    assert lines[1] == "VGG16 has no BN, so no policy can make a BN gap here."
    assert lines[2] == "Only Keras was run, so frameworks can't be compared."


def test_the_answer_counts_failures():
    some = make_cells(("frozen", "features"), failed=[("frozen", "torch", 0)])
    every = make_cells(("frozen",), ("keras",), failed=[("frozen", "keras", 0)])
    assert answer.answer(group_of(*some))[-1] == "1 of 4 cells failed."
    assert answer.answer(group_of(*every)) == ["No cell finished, so there is nothing to compare."]


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_the_decays_are_the_ones_that_the_layers_have(framework):
    layers = (Path(__file__).parents[1] / f"{framework}_impl" / "layers.py").read_text()
    assert float(re.search(r"^DECAY = ([\d.]+)", layers, re.M)[1]) == verdict.DECAY["native"][framework]


@pytest.mark.parametrize(
    ("value", "text"), [(0.041, "+0.04"), (-0.041, "-0.04"), (0.001, "0.00"), (-0.001, "0.00")]
)
def test_what_rounds_to_nothing_has_no_sign(value, text):
    assert verdict.signed(value) == text
