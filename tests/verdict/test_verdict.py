import ast
import re
from pathlib import Path

import pytest

from compare.spec import DECAY, POLICIES
from compare.verdict import answer
from compare.verdict import with_terms as verdict
from compare.verdict.cures import FREEZE, REESTIMATE, decay_for, lower_decay
from compare.verdict.figures import groups
from compare.verdict.finding import finding
from compare.verdict.words import signed
from tests.support.synthetic_run import make_cell, make_cells, make_explanation

ABOVE, BELOW, LEVEL = (0.3, -0.08), (-0.07, 0.03), (0.005, 0.0)
NONE = (0.0, 0.0)


def group_of(*cells, weights="pretext"):
    (group,) = groups({"weights": {"source": weights}}, cells)
    return group


def guessed(policy, keras=None, torch=None, **settings):
    """The sentence on cells without explanations."""
    gaps = {"keras": keras, "torch": torch}
    cells = [
        make_cell(policy, name, gap=gap, explained=False, **settings) for name, gap in gaps.items() if gap
    ]
    (line,) = verdict.sentences(POLICIES[policy], group_of(*cells))
    return line


def planted(policy, framework="keras", numerics="native", **terms):
    """A cell of one epoch whose gap is made of the given terms: name with underscores -> (loss, accuracy)."""
    own = {"weights-moved": NONE, "dropout": NONE, "batch-noise": NONE, "moving-statistics": NONE}
    own |= {name.replace("_", "-"): pair for name, pair in terms.items()}
    total = tuple(sum(pair[i] for pair in own.values()) for i in range(2))
    cell = make_cell(policy, framework, epochs=1, gap=(0.0, 0.0), numerics=numerics)
    (row,) = cell["history"]
    for i, metric in enumerate(("loss", "accuracy")):
        row["evaluate"][metric] = row["fit"][metric] + total[i]
    decay = DECAY[numerics][framework]
    return cell | {
        "explanations": [make_explanation(row, "best and last", policy=policy, decay=decay, terms=own)]
    }


def judged(*cells, **group):
    """The verdict on the first of the cells."""
    return verdict.verdict(POLICIES[cells[0]["policy"]], group_of(*cells, **group), cells[0]["framework"])


# with the terms


def test_the_share_of_the_largest_term_is_told():
    found = judged(planted("fine-tune", moving_statistics=(0.97, -0.1), weights_moved=(0.03, 0.0)))
    assert (found.finding, found.cause) == ("gap", "moving-statistics")
    assert found.sentence == (
        "gap +1.00, 97 % of it moving statistics that lag behind (28 steps at decay 0.99, 299 needed);"
        " accuracy 10 points lower"
    )


def test_a_term_larger_than_the_gap_is_told_with_its_own_figure():
    found = judged(planted("frozen-batch-stats", moving_statistics=(0.15, 0.0), dropout=(-0.1, 0.0)))
    assert found.sentence == "gap +0.05, more than all of it (+0.15) the pretrained data's moving statistics"


def test_imagenets_statistics_are_called_by_their_name_in_a_verdict():
    cell = planted("frozen-batch-stats", moving_statistics=(0.15, 0.0))
    assert "100 % of it ImageNet's moving statistics" in judged(cell, weights="imagenet").sentence


@pytest.mark.parametrize("policy", ["frozen", "fine-tune", "frozen-batch-stats"])
@pytest.mark.parametrize("term", ["dropout", "weights_moved"])
def test_dropout_and_moving_weights_are_harmless_and_have_no_cure(policy, term):
    found = judged(planted(policy, **{term: (0.3, -0.05)}))
    assert found.cause == term.replace("_", "-")
    assert "which is harmless" in found.sentence
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
    assert "(decay 0.9)" in judged(cell).sentence
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
    assert found.finding == "hidden"
    assert found.sentence.startswith("hidden gap +0.10: moving statistics that lag behind")
    assert found.sentence.endswith("; hidden by dropout (-0.15)")
    calm = judged(planted("frozen-drifting", moving_statistics=(0.01, 0.0), dropout=(-0.15, 0.0)))
    assert calm.finding == "none"
    assert calm.sentence == "no gap: moving statistics count for +0.01"


def test_what_the_order_of_switching_matters_is_taken_off_a_hidden_gap():
    cell = planted("frozen-drifting", moving_statistics=(0.1, 0.0), dropout=(-0.15, 0.0))
    cell["explanations"][0]["terms"]["loss"]["moving-statistics"]["uncertainty"] = 0.09
    assert judged(cell).finding == "none"


def test_a_gap_in_accuracy_alone_is_explained_in_accuracy():
    found = judged(planted("fine-tune", moving_statistics=(0.0, -0.06), dropout=(0.0, 0.01)))
    assert found.sentence.startswith(
        "gap -5 points of accuracy, more than all of it (-6 points of accuracy) moving"
    )


def test_a_gap_that_closed_by_the_last_epoch_is_explained_where_it_was():
    cell = make_cell("fine-tune", "keras", gap=(0.4, -0.1))
    last = cell["history"][-1]
    last["evaluate"] |= {metric: last["fit"][metric] for metric in ("loss", "accuracy")}
    cell["explanations"][1] = make_explanation(last, "last", policy="fine-tune")
    text = judged(cell).sentence
    assert re.match(r"gap \+0\.\d\d, more than all of it .* \(140 steps at decay 0.99", text)
    assert text.endswith("; closed by the last epoch (0.00)")
    del cell["explanations"][0]
    assert re.match(
        r"gap \+0\.3\d over the epochs; closed by the last epoch \(0\.00\)$", judged(cell).sentence
    )


def test_the_figures_behind_a_cure_are_told():
    cell = planted("frozen-batch-stats", moving_statistics=(0.5, -0.1))
    level = cell["history"][-1]["fit"]["loss"]
    frozen = make_cell("frozen", "keras", epochs=1)
    frozen["history"][-1]["val"]["accuracy"], cell["history"][-1]["val"]["accuracy"] = 0.75, 0.5
    more = " ".join(judged(cell, frozen).more)
    assert (
        "The worst layer is conv5_block3_3_bn: half of its channels have a moving mean more than 2.8" in more
    )
    assert "Of the stages conv5 matters most: population statistics there alone take away 0.28." in more
    assert (
        f"re-estimated on these samples, evaluate's loss is {level:.2f} instead of {level + 0.5:.2f}." in more
    )
    assert (
        "As frozen, which normalises alike in fit and evaluate, it validates at 75.0 % (here 50.0 %)." in more
    )


def test_a_penalty_on_the_weights_is_in_both_figures_and_said():
    cell = planted("frozen-batch-stats", moving_statistics=(0.5, -0.1))
    assert "penalty" not in " ".join(judged(cell).more)
    cell["explanations"][0]["penalty"] = 0.0134
    assert "0.013 of both losses is a penalty on the weights, no part of the gap." in judged(cell).more


def test_seeds_give_the_gap_an_interval_and_one_seed_none():
    three = [make_cell("fine-tune", "keras", seed=seed) for seed in range(3)]
    assert re.search(r"^gap \+0\.\d\d ± 0\.\d\d, ", judged(*three).sentence)
    assert "±" not in judged(three[0]).sentence
    assert "chance" not in judged(*three).sentence
    for seed, gap in enumerate((3.0, 0.1, -0.5)):
        epochs = [[epoch[part] for epoch in three[seed]["history"]] for part in ("fit", "evaluate")]
        for fit, evaluate in zip(*epochs, strict=True):
            evaluate["loss"] = fit["loss"] + gap
        last = three[seed]["history"][-1]
        three[seed]["explanations"][1] = make_explanation(last, "last", policy="fine-tune")
    assert re.search(r"^gap \+0\.87 ± 4\.\d\d \(it may be chance\), ", judged(*three).sentence)


def test_frameworks_that_differ_have_a_line_each_and_the_same_line_is_said_once():
    cells = [make_cell("fine-tune", name) for name in ("keras", "torch")]
    lines = verdict.sentences(POLICIES["fine-tune"], group_of(*cells))
    assert [line.split(":")[0] for line in lines] == ["Keras", "PyTorch"]
    cells = [make_cell("frozen", name) for name in ("keras", "torch")]
    assert verdict.sentences(POLICIES["frozen"], group_of(*cells)) == [
        "no gap: fit and evaluate normalise alike"
    ]


def test_a_framework_without_explanations_is_guessed_at_beside_one_with():
    keras = make_cell("fine-tune", "keras", explained=False)
    lines = verdict.sentences(POLICIES["fine-tune"], group_of(keras, make_cell("fine-tune", "torch")))
    assert lines[0] == "gap in Keras: the moving statistics lag behind (decay 0.99), accuracy 12 points lower"
    assert lines[1].startswith("PyTorch: no gap")


def test_the_cures_of_a_run_say_for_which_policies_and_frameworks():
    found = verdict.remedies(group_of(*make_cells(("frozen-batch-stats", "frozen", "fine-tune"))))
    assert {cure.what: policies for cure, policies in found} == {
        FREEZE.what: {"frozen-batch-stats": ["keras", "torch"]},
        REESTIMATE.what: {"frozen-batch-stats": ["keras", "torch"], "fine-tune": ["keras"]},
        "lower BN's decay to 0.9": {"fine-tune": ["keras"]},
    }


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
def test_the_sentence_turns_when_the_figures_do(policy, backbone, explained):
    def lines(gap):
        cells = [
            make_cell(policy, name, gap=gap, backbone=backbone, explained=explained)
            for name in ("keras", "torch")
        ]
        return verdict.sentences(POLICIES[policy], group_of(*cells))

    assert all(re.match(r"((Keras|PyTorch): )?gap\b", line) for line in lines(ABOVE))
    assert all(re.match(r"((Keras|PyTorch): )?no (BN, no BN )?gap\b", line) for line in lines(BELOW))


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
    assert cause in guessed(policy, ABOVE, ABOVE)


def test_a_policy_that_could_have_a_gap_and_has_none_says_so():
    assert guessed("frozen-batch-stats", BELOW, BELOW) == (
        "no gap measured, though it evaluates with the pretrained data's statistics what it trained with the batch's"
    )


def test_frameworks_that_differ_are_told_apart_with_their_decays():
    assert guessed("fine-tune", (0.3, 0.0), BELOW) == (
        "gap in Keras: the moving statistics lag behind (decay 0.99); "
        "no gap in PyTorch: the moving statistics keep up (decay 0.9)"
    )


def test_what_a_gap_costs_in_accuracy_is_told():
    cells = [make_cell("frozen-batch-stats", name, epochs=1, explained=False) for name in ("keras", "torch")]
    for cell, lost in zip(cells, (0.08, 0.05), strict=True):
        cell["history"][0]["evaluate"]["accuracy"] = cell["history"][0]["fit"]["accuracy"] - lost
    policy = POLICIES["frozen-batch-stats"]
    assert verdict.sentences(policy, group_of(*cells))[0].endswith("batch's, accuracy 5 to 8 points lower")
    assert verdict.sentences(policy, group_of(cells[0]))[0].endswith("batch's, accuracy 8 points lower")


def test_matched_numerics_have_one_decay():
    text = guessed("fine-tune", ABOVE, ABOVE, numerics="matched")
    assert "(decay 0.99)" in text
    assert "PyTorch" not in text


def test_a_loss_level_with_fits_is_not_called_below_it():
    assert guessed("frozen", LEVEL) == "no gap: evaluate's loss is level with fit's"
    assert guessed("frozen", BELOW) == "no gap: evaluate's loss is below fit's (no dropout in it)"


def test_accuracy_alone_makes_a_gap():
    assert guessed("frozen-batch-stats", (0.0, -0.06)).startswith("gap:")


def test_a_loss_that_is_not_a_number_is_a_gap():
    assert guessed("fine-tune", (float("nan"), 0.03)).startswith("gap:")


def test_the_mean_over_the_epochs_decides_and_the_last_epoch_is_told():
    cell = make_cell("fine-tune", "keras", gap=(0.3, 0.0), explained=False)
    cell["history"][-1]["evaluate"]["loss"] = cell["history"][-1]["fit"]["loss"] - 0.05
    (text,) = verdict.sentences(POLICIES["fine-tune"], group_of(cell))
    assert text == "gap: the moving statistics lag behind (decay 0.99); closed by the last epoch"


def test_imagenets_statistics_are_called_by_their_name():
    cell = make_cell("frozen-batch-stats", "keras", gap=ABOVE, explained=False)
    (text,) = verdict.sentences(POLICIES["frozen-batch-stats"], group_of(cell, weights="imagenet"))
    assert "ImageNet's statistics" in text


def test_a_gap_behind_dropouts_own_effect_is_found_by_the_frozen_policy():
    cell = make_cell("frozen-batch-stats", "torch", gap=(0.0, 0.0), explained=False)
    frozen = make_cell("frozen", "torch", gap=(-0.1, 0.04), explained=False)
    near = make_cell("frozen", "torch", gap=(-0.01, 0.0), explained=False)
    policy = POLICIES["frozen-batch-stats"]
    assert verdict.sentences(policy, group_of(cell, frozen))[0].startswith("hidden gap: evaluate gains 0.1")
    assert verdict.sentences(policy, group_of(cell, near))[0].startswith("no gap measured")
    assert verdict.sentences(policy, group_of(cell))[0].startswith("no gap measured")
    assert "other effects hide a gap under frozen-batch-stats" in answer.answer(group_of(cell, frozen))[0]


def test_a_failed_framework_is_named_and_the_other_told():
    cells = make_cells(("frozen",), failed=[("frozen", "torch", 0)])
    assert verdict.sentences(POLICIES["frozen"], group_of(*cells)) == [
        "Keras: no gap: fit and evaluate normalise alike",
        "PyTorch: failed",
    ]


# the answer


def test_the_answer_names_who_parts_who_closes_and_where_frameworks_differ():
    cells = [
        make_cell("frozen-batch-stats", "keras", gap=ABOVE),
        make_cell("frozen-batch-stats", "torch", gap=ABOVE),
        make_cell("frozen", "keras", gap=BELOW),
        make_cell("frozen", "torch", gap=BELOW),
        make_cell("fine-tune", "keras", gap=ABOVE),
        make_cell("fine-tune", "torch", gap=BELOW),
    ]
    for cell, accuracy in zip(cells, (0.7, 0.71, 0.72, 0.74, 0.6, 0.5), strict=True):
        cell["history"][-1]["val"]["accuracy"] = accuracy
    parting, closing, differing = answer.answer(group_of(*cells))
    assert re.match(
        r"frozen-batch-stats \(Keras \+0\.\d\d, PyTorch \+0\.\d\d\) and fine-tune \(Keras \+0", parting
    )
    assert parting.endswith("; the largest term is moving statistics.")
    assert closing == (
        "frozen shows no gap; frozen in PyTorch validates best of them, at 74.0 %, "
        "3.0 points above the best with a gap (frozen-batch-stats in PyTorch)."
    )
    assert re.match(
        r"Keras and PyTorch differ in fine-tune \(Keras \+0\.\d\d, PyTorch -0\.\d\d\): a step keeps 0.99 of the old "
        r"moving statistics in Keras and 0.9 in PyTorch; one seed can't say how much of that is chance\.$",
        differing,
    )


def test_several_seeds_put_the_frameworks_to_the_test():
    cells = make_cells(("fine-tune",), seeds=4)
    gaps = {"keras": (0.5, 0.52, 0.54, 0.49), "torch": (-0.01, 0.02, 0.0, -0.02)}
    for cell in cells:
        for epoch in cell["history"]:
            epoch["evaluate"]["loss"] = epoch["fit"]["loss"] + gaps[cell["framework"]][cell["seed"]]
    differing = answer.answer(group_of(*cells))[2]
    assert ", p < 0.001): a step" in differing
    assert "one seed" not in differing
    cells[0]["history"][-1]["evaluate"]["loss"] -= 8
    unsure = answer.answer(group_of(*cells))[2]
    assert re.search(
        r"differ in fine-tune \(Keras .*, PyTorch .*, p = 0\.\d+\), but that may be chance\.$", unsure
    )
    sure = answer.answer(group_of(*make_cells(("frozen-drifting",), seeds=4), *cells))[2]
    assert re.search(
        r"differ in frozen-drifting \(.*p [=<] 0\.00\d\): a step .*; in fine-tune \(.*\) it may be", sure
    )


def test_each_cause_is_named_with_its_policies():
    cells = [
        planted("fine-tune", moving_statistics=(0.5, 0.0)),
        planted("bn-trainable", batch_noise=(0.5, 0.0)),
    ]
    parting = answer.answer(group_of(*cells))[0]
    assert parting.endswith(
        "the largest term is batch noise in bn-trainable and moving statistics in fine-tune."
    )


def test_a_policy_that_hides_a_gap_in_one_framework_alone_says_in_which():
    cells = [
        planted("frozen-drifting", "keras", moving_statistics=(0.1, 0.0), dropout=(-0.15, 0.0)),
        planted("frozen-drifting", "torch", dropout=(-0.15, 0.0)),
    ]
    assert "other effects hide a gap under frozen-drifting in Keras" in answer.answer(group_of(*cells))[0]


def test_the_answer_turns_when_the_figures_do():
    calm = [
        make_cell(policy, name, gap=BELOW, explained=False)
        for policy in ("frozen", "fine-tune")
        for name in ("keras", "torch")
    ]
    calm[1]["history"][-1]["val"]["accuracy"] = 0.913
    parting, closing, differing = answer.answer(group_of(*calm))
    assert parting == "No policy evaluates worse than it fits on the same samples."
    assert closing == (
        "frozen and fine-tune show no gap; frozen in PyTorch validates best of them, at 91.3 %."
    )
    assert differing == "Keras and PyTorch agree on every policy."


def test_a_policy_that_failed_in_one_framework_is_not_said_to_close_the_gap():
    cells = make_cells(("frozen", "features"), failed=[("frozen", "torch", 0)])
    assert answer.answer(group_of(*cells))[1].startswith("features shows no gap; ")


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
    layers = (Path(__file__).parents[2] / f"{framework}_impl" / "layers.py").read_text()
    assert float(re.search(r"^DECAY = ([\d.]+)", layers, re.M)[1]) == DECAY["native"][framework]


@pytest.mark.parametrize(
    ("value", "text"), [(0.041, "+0.04"), (-0.041, "-0.04"), (0.001, "0.00"), (-0.001, "0.00")]
)
def test_what_rounds_to_nothing_has_no_sign(value, text):
    assert signed(value) == text


def test_finding_needs_no_explanations_to_see_a_gap():
    cell = make_cell("fine-tune", "keras", gap=ABOVE, explained=False)
    assert finding(POLICIES["fine-tune"], group_of(cell), "keras") == "gap"
