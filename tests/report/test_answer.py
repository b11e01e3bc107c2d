"""What a table comes to: what stands first, and which policies part. The prose is in tests/verdict/prose.txt."""

import re

from compare.report.answer import cures, headlines
from compare.verdict.cures import FREEZE, REESTIMATE
from compare.words import plain
from tests.support.judged import (
    ABOVE,
    BELOW,
    answered,
    default_run,
    four_seeds,
    headlined,
    hidden,
    planted,
    shown_by,
    table_of,
    unexplained,
)
from tests.support.synthetic_run import make_cell, make_cells


def story(policy="fine-tune"):
    """A run that ends as people know it: fit 0.22, evaluate 1.92; in PyTorch 0.26 and 0.27."""
    cells = [
        planted(policy, "keras", moving_statistics=(1.7, -0.3)),
        planted(policy, "torch", moving_statistics=(0.01, 0.0)),
        planted("frozen-batch-stats", "keras", moving_statistics=(0.2, -0.2)),
    ]
    for cell, fit, evaluate in zip(cells, (0.22, 0.26, 0.4), (1.92, 0.27, 0.6), strict=True):
        cell["history"][-1]["fit"]["loss"], cell["history"][-1]["evaluate"]["loss"] = fit, evaluate
    return cells


def test_the_sentence_that_a_person_came_with_stands_first():
    keras, torch = headlines(table_of(*story()))
    assert plain(keras.says) == (
        "Keras, fine-tune: fit says 0.22, evaluate says 1.92 on the same images (loss)."
    )
    assert keras.why.startswith("Why: moving statistics that lag behind")
    assert keras.why.endswith("; cure: lower BN's decay to 0.89.")
    assert [span.tone for span in keras.says] == ["", "worse", ""]
    assert plain(torch.says).startswith("PyTorch, fine-tune: fit says 0.26, evaluate says 0.27")
    assert torch.why == ""
    assert {span.tone for span in torch.says} == {""}


def test_a_gap_that_is_no_mere_effect_of_dropout_comes_first():
    dropout = planted("frozen", "keras", dropout=(0.9, -0.1))
    assert headlined(dropout)[0].endswith("Why: dropout, which is harmless.")
    foreign = planted("frozen-batch-stats", "keras", moving_statistics=(0.2, -0.1))
    assert headlined(dropout, foreign)[0].startswith("Keras, frozen-batch-stats: ")


def test_a_gap_in_accuracy_is_told_in_percent():
    cell = planted("fine-tune", moving_statistics=(-0.1, -0.2))
    cell["history"][0]["fit"]["accuracy"], cell["history"][0]["evaluate"]["accuracy"] = 0.81, 0.61
    assert headlined(cell)[0].startswith("Keras, fine-tune: fit says 81 %, evaluate says 61 %")


def test_a_run_without_a_gap_says_so_first():
    assert headlined(unexplained("frozen", gap=BELOW)) == [
        "No policy evaluates worse than it fits on the same images."
    ]
    small = shown_by(unexplained("fine-tune", gap=(0.05, -0.05)), 40)
    assert headlined(small) == headlined(unexplained("frozen", gap=BELOW))


def test_the_answer_names_who_parts_who_closes_and_where_frameworks_differ():
    parting, closing, differing = answered(*default_run())
    assert re.match(
        r"frozen-batch-stats \(Keras loss \+0\.\d\d, PyTorch loss \+0\.\d\d\) and fine-tune \(Keras loss \+0",
        parting,
    )
    assert "foreign statistics in frozen-batch-stats and stale statistics in fine-tune" in parting
    assert closing.startswith("frozen shows no gap; ")
    assert "frozen in PyTorch" in closing
    assert "74.0 %" in closing
    assert "3.0 points above" in closing
    assert "(frozen-batch-stats in PyTorch)" in closing
    assert re.search(r"fine-tune \(Keras loss \+0\.\d\d, PyTorch loss -0\.\d\d\)", differing)
    assert "0.99" in differing
    assert "0.9 in PyTorch" in differing
    assert "one seed" in differing


def test_several_seeds_put_the_frameworks_to_the_test():
    sure = answered(*four_seeds())[2]
    assert ", p < 0.001): a step" in sure
    assert "one seed" not in sure
    unsure = answered(*four_seeds(-8))[2]
    assert re.search(r"fine-tune \(Keras .*, PyTorch .*, p = 0\.\d+\), but that may be chance\.$", unsure)
    both = answered(*make_cells(("frozen-drifting",), seeds=4), *four_seeds(-8))[2]
    assert re.search(
        r"differ in frozen-drifting \(.*p [=<] 0\.00\d\): a step .*; in fine-tune \(.*\) it may be", both
    )


def test_each_cause_is_named_with_its_policies():
    cells = [
        planted("fine-tune", moving_statistics=(0.5, 0.0)),
        planted("bn-trainable", batch_noise=(0.5, 0.0)),
    ]
    assert answered(*cells)[0].endswith("batch noise in bn-trainable and stale statistics in fine-tune.")


def test_a_policy_that_hides_a_gap_in_one_framework_alone_says_in_which():
    cells = [hidden(), planted("frozen-drifting", "torch", dropout=(-0.15, 0.0))]
    assert "hide a gap under frozen-drifting in Keras" in answered(*cells)[0]
    cell = unexplained("frozen-batch-stats", "torch", gap=(0.0, 0.0))
    frozen = unexplained("frozen", "torch", gap=(-0.1, 0.04))
    assert "other effects hide a gap under frozen-batch-stats" in answered(cell, frozen)[0]


def test_the_answer_turns_when_the_figures_do():
    calm = [unexplained(p, f, BELOW) for p in ("frozen", "fine-tune") for f in ("keras", "torch")]
    calm[1]["history"][-1]["val"]["accuracy"] = 0.913
    parting, closing, differing = answered(*calm)
    assert parting.startswith("No policy evaluates worse")
    assert closing.startswith("frozen and fine-tune show no gap; frozen in PyTorch validates best")
    assert closing.endswith("at 91.3 %.")
    assert "agree on every policy" in differing
    parting, closing, differing = answered(unexplained("frozen", gap=ABOVE), *calm[1:])
    assert parting.startswith("frozen (Keras loss +0.")
    assert closing.startswith("fine-tune shows no gap")
    assert "differ in frozen" in differing


def test_two_gaps_differ_where_one_is_a_multiple_of_the_other():
    keras = unexplained("fine-tune", "keras", gap=(0.9, -0.2))
    assert (
        "differ in fine-tune (Keras loss +0.90, PyTorch loss +0.19)"
        in answered(keras, unexplained("fine-tune", "torch", gap=(0.2, -0.1)))[2]
    )
    assert "agree on every policy" in answered(keras, unexplained("fine-tune", "torch", gap=(0.5, -0.1)))[2]


def test_a_policy_that_failed_in_one_framework_is_not_said_to_close_the_gap():
    cells = make_cells(("frozen", "features"), failed=[("frozen", "torch", 0)])
    assert answered(*cells)[1].startswith("features shows no gap; ")


def test_the_answer_on_vgg16_is_that_there_is_no_bn():
    found = answered(*make_cells(("frozen", "fine-tune"), ("keras",), backbone="vgg16", gap=BELOW))
    assert found[1] == "VGG16 has no BN, so no policy can make a BN gap here."
    assert found[2] == "Only Keras was run, so frameworks can't be compared."


def test_the_answer_counts_failures():
    some = make_cells(("frozen", "features"), failed=[("frozen", "torch", 0)])
    every = make_cells(("frozen",), ("keras",), failed=[("frozen", "keras", 0)])
    assert answered(*some)[-1] == "1 of 4 cells failed."
    assert answered(*every) == ["No cell finished, so there is nothing to compare."]
    assert headlined(*every) == answered(*every)


def test_frameworks_level_with_each_other_agree():
    cells = [
        make_cell("frozen-batch-stats", "keras", gap=(0.025, 0.0)),
        make_cell("frozen-batch-stats", "torch", gap=(0.015, 0.0)),
    ]
    assert "agree on every policy" in answered(*cells)[2]


def test_the_cures_of_a_run_say_for_which_policies_and_frameworks():
    found = cures(table_of(*make_cells(("frozen-batch-stats", "frozen", "fine-tune"))))
    assert {cure.what: policies for cure, policies in found} == {
        FREEZE.what: {"frozen-batch-stats": ["keras", "torch"]},
        REESTIMATE.what: {"frozen-batch-stats": ["keras", "torch"], "fine-tune": ["keras"]},
        "lower BN's decay to 0.9": {"fine-tune": ["keras"]},
    }
    assert headlined(*make_cells(("frozen-batch-stats", "frozen", "fine-tune")))[0].endswith(
        f"cure: {found[0][0].what}."
    )


def test_in_matched_numerics_a_rounding_is_enough_where_the_backbone_trains():
    def differing(policy, numerics):
        cells = [
            unexplained(policy, "keras", ABOVE, numerics=numerics),
            unexplained(policy, "torch", BELOW, numerics=numerics),
        ]
        return answered(*cells)[2]

    assert "one rounding in float32 is enough" in differing("fine-tune", "matched")
    assert "rounding" not in differing("frozen-drifting", "matched")
    assert "rounding" not in differing("fine-tune", "native")
