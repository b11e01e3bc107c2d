"""The terms' arithmetic, their tables, and that both frameworks come to the same terms in `matched` numerics."""

import csv
import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from compare.cells import tables
from compare.diagnosis.records import Term
from compare.gap.drift import layers, stage
from compare.gap.reading import validated
from compare.gap.records import METRICS, CellResult, Explanation, Status
from tests.support import far_functions
from tests.support.gap_checks import AGREEING


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("conv1_bn", "stem"),
        ("conv2_block1_0_bn", "conv2"),
        ("conv5_block3_3_bn", "conv5"),
        ("encoder/bn_4", "encoder/bn_4"),
    ],
)
def test_stages(layer, expected):
    assert stage(layer) == expected


@pytest.fixture(scope="module")
def explanations(process):
    found = {}
    for framework in ("keras", "torch"):
        module = f"tests.support.{framework}_gap"
        raw = json.loads(process(framework).call(far_functions.named, module, "explanations"))
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
            for name in {**theirs.terms[metric], **ours.terms[metric]}:
                term, own = (found.terms[metric].get(name, Term(name, 0.0)) for found in (theirs, ours))
                assert (own.value, own.uncertainty) == pytest.approx(
                    (term.value, term.uncertainty), abs=1e-5
                ), name
        for part, figures in theirs.stages.items():
            assert ours.stages[part] == pytest.approx(figures, abs=1e-5)
        for before, after in zip(theirs.layers, ours.layers, strict=True):
            for drift in tables.DRIFTS:
                expected = pytest.approx(asdict(getattr(before, drift)), rel=1e-4, abs=1e-4)
                assert asdict(getattr(after, drift)) == expected
            for name in ("layer", "decay", "steps", "steps_needed"):
                assert getattr(after, name) == getattr(before, name)


def test_the_terms_that_agree_are_not_trivial(explanations):
    for term in ("weights-moved", "dropout", "batch-noise", "stale-statistics"):
        assert abs(explanations["torch"]["bn-trainable"][-1].terms["loss"][term].value) > 1e-3


def test_steps_needed_follow_from_the_decay(explanations):
    (layer,) = explanations["keras"]["bn-trainable"][-1].layers
    assert (layer.decay, layer.steps, layer.steps_needed) == (0.99, 18, 299)
    (kept,) = explanations["keras"]["frozen-batch-stats"][-1].layers
    assert (kept.steps, kept.steps_needed) == (0, None)


def test_one_layers_population_takes_the_whole_term_off(explanations):
    for explanation in explanations["torch"]["bn-trainable"]:
        at = explanation.evaluations
        off = at.evaluate["loss"] - at.population["loss"]
        assert explanation.stages["bn"]["loss"] == pytest.approx(off, abs=1e-6)


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
    (row,) = layers(trained, 7)
    assert (row.decay, row.steps, row.steps_needed) == (decay, 7, needed)
    (row,) = layers(trained, None)
    assert (row.decay, row.steps, row.steps_needed) == (1.0, 0, None)
