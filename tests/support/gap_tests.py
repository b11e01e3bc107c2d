"""The terms of the gap: each is what it says, alone and together. Both frameworks' tests import these.

The fixture ``wing`` is theirs: the framework's modules, and its small network.
"""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from compare.diagnosis.records import CAUSES
from compare.gap.evaluations import Whole
from compare.gap.explaining import explain
from compare.spec import Behaviour
from tests.support import gap_checks
from tests.support.gap_checks import Case, assert_alone, batches, stored, values
from tests.support.small_run import SMALL, train

POLICIES = (
    "fine-tune",
    "frozen-batch-stats",
    "frozen-drifting",
    "frozen",
    "batch-stats",
    "fine-tune-bn-frozen",
)
BN_FROZEN = Behaviour("moving", False, "moving")


@dataclasses.dataclass
class Wing:
    """A framework.

    Attributes:
        side: its modules.
        build: makes the small network with dropout that both frameworks draw alike.
        native: makes it with the framework's own.
        double: makes it with the framework's own rule for the moving variance, in float64.
    """

    side: Any
    build: Callable
    native: Callable
    double: Callable


def test_each_term_planted_alone_comes_out_alone(wing):
    for term, (_, _, explanation) in gap_checks.planted(wing.side, wing.build).items():
        assert_alone(explanation, term)


@pytest.mark.parametrize(
    ("policy", "dropout"),
    [("fine-tune", "counter"), ("frozen", "counter"), *((policy, "native") for policy in POLICIES)],
)
def test_our_evaluations_are_what_the_framework_reports(wing, policy, dropout):
    """Nothing moves in an epoch at learning rate 0: its end is `fit`, masks and all, and the last is `evaluate`'s."""
    uneven = batches((8, 8, 8, 8, 8, 5))
    case = Case(wing.side, wing.native if dropout == "native" else wing.build, policy, dropout=0.5, epochs=2)
    found = case.run(uneven)
    for fit, evaluate, explanation in found:
        at = explanation.evaluations
        for metric in ("loss", "accuracy"):
            assert at.fit[metric] == fit[metric]
            assert at.evaluate[metric] == evaluate[metric]
            assert at.end_of_epoch[metric] == pytest.approx(fit[metric], abs=1e-6)
    ours = wing.side.replay.measure(case.model, uneven)
    for metric in ("loss", "accuracy"):
        assert ours[metric] == pytest.approx(found[-1][1][metric], abs=1e-6)
    assert found[0][0]["loss"] != found[1][0]["loss"]  # other masks, other figures


def test_three_classes_are_measured_as_the_framework_reports(wing):
    classes = np.random.default_rng(3).integers(0, 3, 48)
    train = [
        (x, np.eye(3, dtype=np.float32)[classes[8 * step : 8 * step + 8]])
        for step, (x, _) in enumerate(batches())
    ]
    case = Case(wing.side, partial(wing.build, outputs=3), "fine-tune", dropout=0.5)
    ((fit, evaluate, explanation),) = case.run(train)
    at = explanation.evaluations
    ours = wing.side.replay.measure(case.model, train)
    for metric in ("loss", "accuracy"):
        assert at.end_of_epoch[metric] == pytest.approx(fit[metric], abs=1e-6)
        assert ours[metric] == pytest.approx(evaluate[metric], abs=1e-6)
    assert 0.7 < evaluate["loss"] < 3
    assert abs(values(explanation)["batch-noise"]) > 1e-4


@pytest.mark.parametrize("policy", POLICIES)
def test_the_terms_add_up(wing, policy):
    case = Case(wing.side, wing.native, policy, dropout=0.5, learning_rate=1e-2, epochs=3)
    for fit, evaluate, explanation in case.run(batches()):
        for metric in ("loss", "accuracy"):
            gap = evaluate[metric] - fit[metric]
            assert sum(values(explanation, metric).values()) == pytest.approx(gap, abs=1e-9)
        weights_moved = values(explanation)["weights-moved"]
        assert abs(weights_moved) > 1e-4
        same = policy in ("frozen", "batch-stats", "fine-tune-bn-frozen")
        assert ("batch-noise" in values(explanation)) != same
        assert (stored(explanation) == 0) == same
        assert (explanation.layers == ()) == same
        assert (explanation.stages == {}) == same


def test_explaining_changes_nothing_of_the_training_that_goes_on(wing):
    def losses(explains):
        case = Case(wing.side, wing.native, "fine-tune", dropout=0.5, learning_rate=1e-2, epochs=3)
        if explains:
            return [fit["loss"] for fit, _, _ in case.run(batches())]
        wing.side.training.start(0)
        model = wing.native(0.5)
        wing.side.weights.from_arrays(model, gap_checks.arrays(wing.side.weights.to_arrays(model)))
        wing.side.bn_policy.apply(model, wing.side.bn_policy.Policy("all", "batch", True))
        optimizer = wing.side.optimizers.adam(model, 1e-2, "matched")
        rows = wing.side.training.fit(model, optimizer, lambda epoch: batches(), epochs=3, patience=99)
        return [row["loss"] for row in rows]

    assert losses(True) == losses(False)


def test_one_batch_and_nothing_random_fits_loss_is_evaluates_of_the_epoch_before(wing):
    whole = [tuple(np.concatenate(parts) for parts in zip(*batches(), strict=True))]
    found = Case(wing.side, wing.build, "frozen", learning_rate=1e-2, epochs=4).run(whole)
    for (_, evaluate, _), (fit, _, _) in pairwise(found):
        assert fit["loss"] == pytest.approx(evaluate["loss"], abs=1e-5)
    assert found[0][0]["loss"] - found[3][0]["loss"] > 1e-3


def test_a_shifted_input_shows_in_the_moving_statistics_alone(wing):
    """`frozen-batch-stats`: fit can't see the shift, evaluate sees nothing else."""

    def run(**shift):
        case = Case(wing.side, wing.build, "frozen-batch-stats")
        train = batches((64, 64), **shift)
        wing.side.training.start(0)
        model = wing.build(0.0)
        wing.side.weights.from_arrays(model, gap_checks.arrays(wing.side.weights.to_arrays(model)))
        wing.side.statistics.recalibrate(model, batches((64, 64)))
        state = wing.side.weights.to_arrays(model)
        case.build = lambda dropout: model
        original, gap_checks.arrays = gap_checks.arrays, lambda like: state
        try:
            return case.run(train)[0]
        finally:
            gap_checks.arrays = original

    (fit, _, plain), (shifted_fit, _, shifted) = run(), run(scale=3.0, shift=2.0)
    assert shifted_fit["loss"] == pytest.approx(fit["loss"], abs=1e-4)
    off, noise = abs(stored(shifted)), abs(values(shifted)["batch-noise"])
    assert off > 0.9 * (off + noise)
    assert off > 0.1
    assert abs(stored(plain)) < 1e-3
    assert abs(values(plain)["batch-noise"]) < 0.02


@pytest.mark.parametrize(
    ("decay", "epochs", "stale"),
    [(0.99, 3, (1.0, 5.0)), (0.99, 53, (0.0, 0.1)), (0.9, 13, (0.0, 0.01))],
    ids=["30 steps at 0.99", "530 steps at 0.99", "130 steps at 0.9"],
)
def test_moving_statistics_lag_by_the_decay(wing, decay, epochs, stale):
    """Fine-tuning on 128 samples unlike those of the moving statistics, 10 steps an epoch."""
    train = batches((13,) * 8 + (12,) * 2, scale=10.0, shift=60.0)
    small = partial(wing.build, decay=decay)
    case = Case(wing.side, small, "fine-tune", learning_rate=2e-3, epochs=epochs, last_only=True)
    _, _, explanation = case.run(train)[-1]
    (layer,) = explanation.layers
    assert (layer.steps, layer.decay) == (10 * epochs, decay)
    off, noise = abs(stored(explanation)), abs(values(explanation)["batch-noise"])
    assert stale[0] <= off <= stale[1]
    if epochs == 3:
        assert sum(values(explanation).values()) > 1
        assert off > 0.9 * (off + noise)
        assert explanation.diagnosis.findings[0].cause == "stale-statistics"
        assert layer.mean_drift.median > 0.5


def test_batch_noise_grows_as_batches_shrink(wing):
    noise = {}
    for size in (2, 8, 64):
        case = Case(wing.side, wing.build, "bn-trainable", recalibrate=True)
        _, _, explanation = case.run(batches((size,) * (128 // size)))[-1]
        noise[size] = abs(values(explanation)["batch-noise"])
    assert noise[2] > 2 * noise[8] > 4 * noise[64] > 0


def test_after_recalibrate_nothing_is_stale(wing):
    """Whatever the moving statistics were, and though training has moved the weights."""
    case = Case(wing.side, wing.native, "fine-tune", dropout=0.5, learning_rate=1e-2, epochs=2)
    train = batches((8, 8, 8, 8, 8, 5))
    _, _, stale = case.run(train)[-1]
    assert abs(stored(stale)) > 1e-3
    wing.side.statistics.recalibrate(case.model, train)
    evaluate = wing.side.training.evaluate(case.model, train)
    under = wing.side.replay.measure(case.model, train)
    trained = Whole(wing.side, case.model, train, wing.side.replay.random_state(case.model))
    found = explain(
        trained, stale.evaluations.fit, evaluate, Behaviour("batch", True, "moving"), epoch=2, steps=12
    )
    at = found.evaluations
    assert at.evaluate["loss"] == pytest.approx(at.population["loss"], abs=1e-6)
    assert under["loss"] == pytest.approx(evaluate["loss"], abs=1e-6)
    assert all(layer.mean_drift.max < 1e-6 for layer in found.layers)


def told_apart(ours, theirs):
    """By how much the terms of two diagnoses part, at most; one that isn't there is 0."""
    ours, theirs = ({term.term: term.value for term in found.terms} for found in (ours, theirs))
    return max(abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in {*ours, *theirs})


@pytest.mark.parametrize(
    ("policy", "cause"),
    [
        ("fine-tune", "stale-statistics"),
        ("frozen-batch-stats", "foreign-statistics"),
        ("frozen-drifting", "not-frozen"),
    ],
)
def test_a_cells_explanation_is_what_a_diagnosis_of_its_model_finds(
    wing, diagnosed, monkeypatch, policy, cause
):
    """The same terms and the same first finding, though a cell takes its passes by a quicker way.

    In float64, where the order of sums is nothing, each term is the same to far below the 1e-6 that is asked.
    """
    train = [
        (x.astype("float64"), y.astype("float64"))
        for x, y in batches((8, 8, 8, 8, 8, 5), scale=3.0, shift=2.0)
    ]
    case = Case(wing.side, wing.double, policy, learning_rate=1e-2)
    ((fit, evaluate, explanation),) = case.run(train)
    reported = {"loss": fit["loss"], "evaluate_loss": evaluate["loss"]}
    theirs = diagnosed(case.model, train, reported)
    ours = explanation.diagnosis
    assert told_apart(ours, theirs) < 1e-9
    assert {term.term for term in ours.terms} == {"weights-moved", "batch-noise", cause}
    assert ours.gap == pytest.approx(theirs.gap, abs=1e-9)
    assert ours.findings[0].cause == theirs.findings[0].cause == cause
    assert ours.findings[0].layers == theirs.findings[0].layers == ("bn",)
    assert ours.harmful
    assert ours.findings[0].cure == theirs.findings[0].cure
    for own, other in zip(ours.audit.rows, theirs.audit.rows, strict=False):
        assert (own.layer, own.fit, own.evaluate, own.moves) == (
            other.layer,
            other.fit,
            other.evaluate,
            other.moves,
        )
        assert own.drift == pytest.approx(other.drift, rel=1e-6)

    def mutant(means):
        monkeypatch.setattr("compare.diagnosis.measuring.by_layer", means)
        ((_, _, found),) = Case(wing.side, wing.double, policy, learning_rate=1e-2).run(train)
        return told_apart(found.diagnosis, theirs)

    # without the third position what lies between the batches is called stored, too
    assert mutant(lambda seen, *_: {n: (s.mean, s.variance) for n, s in seen.items()}) > 1e-3
    # a ten-thousandth of the batches' variances is seen
    assert (
        mutant(lambda seen, *_: {n: (s.batch_mean, s.batch_variance * 1.0001) for n, s in seen.items()})
        > 1e-6
    )


def test_a_diagnosis_of_a_cell_is_the_json_of_any_other(wing):
    case = Case(wing.side, wing.native, "fine-tune", dropout=0.5, learning_rate=1e-2)
    ((fit, evaluate, explanation),) = case.run(batches())
    found = json.loads(json.dumps(explanation.diagnosis.to_json()))
    assert found["framework"] == wing.side.side
    assert found["samples"] == 48
    assert found["reported"]["loss"] == fit["loss"]
    assert found["measured"]["evaluate_loss"] == evaluate["loss"]
    assert sum(term["value"] for term in found["terms"]) == pytest.approx(found["gap"], abs=1e-9)
    assert {row["role"] for row in found["audit"]} == {"normalisation", "dropout"}
    for finding in found["findings"]:
        assert {"cause", "harmful", "value", "layers", "evidence", "cure"} == set(finding)
        assert finding["cause"] in CAUSES
        assert finding["evidence"]
        assert finding["cure"]["text"]


def best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end(framework, tmp_path):
    def run(explain):
        settings = dataclasses.replace(SMALL, epochs=3, explain=explain)
        return train(framework, "frozen-batch-stats", tmp_path, "native", settings)

    every, default = run("every-epoch"), run("best-and-last")
    best = default.best_epoch
    assert best < 3
    reasons = {1: "asked", 2: "asked", best: "best", 3: "last"}
    assert [(e.epoch, e.reason) for e in every.explanations] == sorted(reasons.items())
    assert [(e.epoch, e.reason) for e in default.explanations] == [(best, "best"), (3, "last")]
    assert every.history == default.history
    at_its_end = {explanation.epoch: explanation for explanation in every.explanations}
    for explanation in default.explanations:
        then, row = at_its_end[explanation.epoch], default.history[explanation.epoch - 1]
        for metric in ("loss", "accuracy"):
            assert values(explanation, metric) == pytest.approx(values(then, metric), abs=1e-6)
            gap = row.gap(metric)
            assert sum(values(explanation, metric).values()) == pytest.approx(gap, abs=1e-9)
        assert len(explanation.layers) == 53
        assert list(explanation.stages) == ["stem", "conv2", "conv3", "conv4", "conv5"]
