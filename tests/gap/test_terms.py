"""The terms' arithmetic, their tables, and that both frameworks come to the same terms in `matched` numerics."""

import csv
import json
import subprocess
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from compare.cells import tables
from compare.gap import terms as gap
from compare.gap.reading import validated
from compare.gap.records import METRICS, CellResult, Evaluations, Explanation, Status, Term
from tests.support.gap_checks import AGREEING

AT = {
    "fit": 1.0,
    "end_of_epoch": 1.25,
    "without_dropout": 0.5,
    "population_with_dropout": 2.0,
    "population": 0.75,
    "evaluate": 3.5,
}


def evaluations(**at):
    return Evaluations(**{name: {"loss": 0.0, "accuracy": value} for name, value in at.items()})


def test_terms_are_the_mean_of_both_orders_and_their_difference():
    found = gap.terms(evaluations(**AT), "accuracy")
    assert found == {
        "weights-moved": Term(0.25, 0.0),
        "dropout": Term((-0.75 - 1.25) / 2, 0.5),  # BN switched after, or before
        "batch-noise": Term((0.25 + 0.75) / 2, 0.5),
        "moving-statistics": Term(2.75, 0.0),
    }
    assert sum(term.value for term in found.values()) == AT["evaluate"] - AT["fit"]
    assert set(gap.terms(evaluations(**AT), "loss").values()) == {Term(0.0, 0.0)}


def test_an_evaluation_of_other_samples_is_a_term_of_its_own():
    found = gap.terms(evaluations(**AT, evaluate_reported=3.0), "accuracy")
    assert found["sample-mix"] == Term(-0.5, 0.0)
    assert sum(term.value for term in found.values()) == 3.0 - AT["fit"]


@pytest.mark.parametrize(
    ("layer", "stage"),
    [
        ("conv1_bn", "stem"),
        ("conv2_block1_0_bn", "conv2"),
        ("conv5_block3_3_bn", "conv5"),
        ("encoder/bn_4", "encoder/bn_4"),
    ],
)
def test_stages(layer, stage):
    assert gap.stage(layer) == stage


@pytest.fixture(scope="module")
def explanations():
    found = {}
    for framework in ("keras", "torch"):
        command = [sys.executable, "-m", f"tests.support.{framework}_gap"]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-2000:]
        raw = json.loads(run.stdout.splitlines()[-1])
        found[framework] = {
            policy: [validated(Explanation, entry) for entry in entries] for policy, entries in raw.items()
        }
    return found


@pytest.mark.parametrize("policy", AGREEING)
def test_frameworks_agree_on_every_term(explanations, policy):
    keras, torch = (explanations[framework][policy] for framework in ("keras", "torch"))
    assert len(keras) == len(torch) == 3
    for theirs, ours in zip(keras, torch, strict=True):
        for metric in METRICS:
            for name, term in theirs.terms[metric].items():
                assert asdict(ours.terms[metric][name]) == pytest.approx(asdict(term), abs=1e-5), name
        for stage, figures in theirs.stages.items():
            assert ours.stages[stage] == pytest.approx(figures, abs=1e-5)
        for before, after in zip(theirs.layers, ours.layers, strict=True):
            for drift in tables.DRIFTS:
                expected = pytest.approx(asdict(getattr(before, drift)), rel=1e-4, abs=1e-4)
                assert asdict(getattr(after, drift)) == expected
            for name in ("layer", "decay", "steps", "steps_needed"):
                assert getattr(after, name) == getattr(before, name)


def test_the_terms_that_agree_are_not_trivial(explanations):
    for term in ("weights-moved", "dropout", "batch-noise", "moving-statistics"):
        assert abs(explanations["torch"]["bn-trainable"][-1].terms["loss"][term].value) > 1e-3


def test_steps_needed_follow_from_the_decay(explanations):
    (layer,) = explanations["keras"]["bn-trainable"][-1].layers
    assert (layer.decay, layer.steps, layer.steps_needed) == (0.99, 18, 299)
    (kept,) = explanations["keras"]["frozen-batch-stats"][-1].layers
    assert (kept.steps, kept.steps_needed) == (0, None)


def test_one_layers_population_takes_the_whole_term_off(explanations):
    for explanation in explanations["torch"]["bn-trainable"]:
        term = explanation.terms["loss"]["moving-statistics"].value
        assert explanation.stages["bn"]["loss"] == pytest.approx(term, abs=1e-6)


def test_tables(explanations):
    entry = explanations["torch"]["bn-trainable"][-1]
    cell = CellResult(
        "torch", "small", "bn-trainable", "matched", 0, Status.FAILED, "for the tables", explanations=(entry,)
    )
    terms = list(csv.DictReader(tables.gap([cell]).splitlines()))
    assert tuple(terms[0]) == tables.GAP
    assert [(row["metric"], row["term"]) for row in terms[:2]] == [
        ("loss", "weights-moved"),
        ("loss", "dropout"),
    ]
    assert len(terms) == 8
    (layer,) = csv.DictReader(tables.layers([cell]).splitlines())
    assert (layer["layer"], layer["stage"], layer["channels"], layer["steps_needed"]) == (
        "bn",
        "bn",
        "6",
        "299",
    )
    assert float(layer["kl_p95"]) > 0
    stages = list(csv.DictReader(tables.stages([cell]).splitlines()))
    assert [(row["stage"], row["metric"], row["epoch"]) for row in stages] == [
        ("bn", "loss", "3"),
        ("bn", "accuracy", "3"),
    ]
    assert tables.gap([replace(cell, explanations=())]).splitlines() == [",".join(tables.GAP)]


@pytest.mark.parametrize(("decay", "needed"), [(0.9, 29), (0.0, 1), (1.0, None), (None, None)])
def test_steps_needed_of_every_decay_that_a_layer_can_have(decay, needed):
    """0 keeps nothing, 1 never moves, and without a decay all steps weigh the same."""
    pair = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    statistics = SimpleNamespace(
        moving=lambda model: {"bn": pair}, constants=lambda model: {"bn": (decay, 1e-3)}
    )
    trained = SimpleNamespace(
        side=SimpleNamespace(statistics=statistics), model=None, population={"bn": pair}
    )
    (row,) = gap.layers(trained, 7)
    assert (row.decay, row.steps, row.steps_needed) == (decay, 7, needed)
    (row,) = gap.layers(trained, None)
    assert (row.decay, row.steps, row.steps_needed) == (1.0, 0, None)
