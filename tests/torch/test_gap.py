"""The terms of the gap in PyTorch: each is what it says, alone and together."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from torch import nn

from tests import gap_checks
from tests.gap_checks import Case, assert_alone, batches, values
from tests.small_run import SMALL, train
from tests.torch_gap import SIDE, build

POLICIES = (
    "fine-tune",
    "frozen-batch-stats",
    "frozen-drifting",
    "frozen",
    "batch-stats",
    "fine-tune-bn-frozen",
)


def native(dropout):
    return build(dropout, nn.Dropout)


def test_each_term_planted_alone_comes_out_alone():
    for term, (_, _, explanation) in gap_checks.planted(SIDE, build).items():
        assert_alone(explanation, term)


@pytest.mark.parametrize("dropout", ["counter", "native"])
@pytest.mark.parametrize("policy", POLICIES)
def test_our_evaluations_are_what_the_framework_reports(policy, dropout):
    """Nothing moves in an epoch at learning rate 0: B is A, masks and all, and E is `evaluate`'s."""
    uneven = batches((8, 8, 8, 8, 8, 5))
    case = Case(SIDE, native if dropout == "native" else build, policy, dropout=0.5, epochs=2)
    found = case.run(uneven)
    for fit, evaluate, explanation in found:
        at = explanation["evaluations"]
        for metric in ("loss", "accuracy"):
            assert at["A"][metric] == fit[metric]
            assert at["E"][metric] == evaluate[metric]
            assert at["B"][metric] == pytest.approx(fit[metric], abs=1e-6)
    ours = SIDE.replay.measure(case.model, uneven)
    for metric in ("loss", "accuracy"):
        assert ours[metric] == pytest.approx(found[-1][1][metric], abs=1e-6)
    assert found[0][0]["loss"] != found[1][0]["loss"]  # other masks, other figures


@pytest.mark.parametrize("policy", POLICIES)
def test_the_terms_add_up(policy):
    case = Case(SIDE, native, policy, dropout=0.5, learning_rate=1e-2, epochs=3)
    for fit, evaluate, explanation in case.run(batches()):
        for metric in ("loss", "accuracy"):
            gap = evaluate[metric] - fit[metric]
            assert sum(values(explanation, metric).values()) == pytest.approx(gap, abs=1e-9)
        weights_moved = values(explanation)["weights-moved"]
        assert abs(weights_moved) > 1e-4
        same = policy in ("frozen", "batch-stats", "fine-tune-bn-frozen")
        for term in ("batch-noise", "moving-statistics"):
            assert (values(explanation)[term] == 0) == same
        assert (explanation["layers"] == []) == same
        assert (explanation["stages"] == {}) == same


def test_explaining_changes_nothing_of_the_training_that_goes_on():
    def losses(explains):
        case = Case(SIDE, native, "fine-tune", dropout=0.5, learning_rate=1e-2, epochs=3)
        if explains:
            return [fit["loss"] for fit, _, _ in case.run(batches())]
        SIDE.training.start(0)
        model = native(0.5)
        SIDE.weights.from_arrays(model, gap_checks.arrays(SIDE.weights.to_arrays(model)))
        SIDE.bn_policy.apply(model, SIDE.bn_policy.Policy("all", "batch", True))
        optimizer = SIDE.optimizers.adam(model, 1e-2, "matched")
        rows = SIDE.training.fit(model, optimizer, lambda epoch: batches(), epochs=3, patience=99)
        return [row["loss"] for row in rows]

    assert losses(True) == losses(False)


def test_one_batch_and_nothing_random_fits_loss_is_evaluates_of_the_epoch_before():
    whole = [tuple(np.concatenate(parts) for parts in zip(*batches(), strict=True))]
    found = Case(SIDE, build, "frozen", learning_rate=1e-2, epochs=4).run(whole)
    for (_, evaluate, _), (fit, _, _) in pairwise(found):
        assert fit["loss"] == pytest.approx(evaluate["loss"], abs=1e-5)
    assert found[0][0]["loss"] - found[3][0]["loss"] > 1e-3


def test_a_shifted_input_shows_in_the_moving_statistics_alone():
    """`frozen-batch-stats`: fit can't see the shift, evaluate sees nothing else."""

    def run(**shift):
        case = Case(SIDE, build, "frozen-batch-stats")
        train = batches((64, 64), **shift)
        SIDE.training.start(0)
        model = build(0.0)
        SIDE.weights.from_arrays(model, gap_checks.arrays(SIDE.weights.to_arrays(model)))
        SIDE.statistics.recalibrate(model, batches((64, 64)))
        state = SIDE.weights.to_arrays(model)
        case.build = lambda dropout: model
        original, gap_checks.arrays = gap_checks.arrays, lambda like: state
        try:
            return case.run(train)[0]
        finally:
            gap_checks.arrays = original

    (fit, _, plain), (shifted_fit, _, shifted) = run(), run(scale=3.0, shift=2.0)
    assert shifted_fit["loss"] == pytest.approx(fit["loss"], abs=1e-4)
    bn = {term: abs(values(shifted)[term]) for term in ("batch-noise", "moving-statistics")}
    assert bn["moving-statistics"] > 0.9 * sum(bn.values())
    assert bn["moving-statistics"] > 0.1
    assert abs(values(plain)["moving-statistics"]) < 1e-6
    assert abs(values(plain)["batch-noise"]) < 0.02


def test_a_cells_best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end(tmp_path):
    def run(explain):
        settings = dataclasses.replace(SMALL, epochs=3, explain=explain)
        return train("torch", "frozen-batch-stats", tmp_path, "native", settings)

    every, default = run("every-epoch"), run("best-and-last")
    best = default["best_epoch"]
    assert best < 3
    reasons = {1: "asked", 2: "asked", best: "best", 3: "last"}
    assert [(e["epoch"], e["reason"]) for e in every["explanations"]] == sorted(reasons.items())
    assert [(e["epoch"], e["reason"]) for e in default["explanations"]] == [(best, "best"), (3, "last")]
    assert every["history"] == default["history"]
    at_its_end = {explanation["epoch"]: explanation for explanation in every["explanations"]}
    for explanation in default["explanations"]:
        then, row = at_its_end[explanation["epoch"]], default["history"][explanation["epoch"] - 1]
        for metric in ("loss", "accuracy"):
            assert values(explanation, metric) == pytest.approx(values(then, metric), abs=1e-6)
            gap = row["evaluate"][metric] - row["fit"][metric]
            assert sum(values(explanation, metric).values()) == pytest.approx(gap, abs=1e-9)
        assert len(explanation["layers"]) == 53
        assert list(explanation["stages"]) == ["stem", "conv2", "conv3", "conv4", "conv5"]
