import copy
import json
import math

import pytest

from compare.gap.reading import read_result
from compare.gap.records import TERMS
from compare.verdict.figures import label
from tests.support.judged import table_of
from tests.support.synthetic_run import make_cell


def entry_of(*cells):
    return table_of(*cells).rows[cells[0]["policy"]][cells[0]["framework"]]


def gap_of(*cells):
    return entry_of(*cells).judgement.figures


def test_the_terms_add_up_to_the_gap_over_several_seeds_too():
    entry = entry_of(*(make_cell("fine-tune", "keras", seed=seed) for seed in range(3)))
    figures = entry.judgement.figures
    for metric in ("loss", "accuracy"):
        total = math.fsum(entry.last.term(name, metric) for name in entry.last.terms)
        assert total == pytest.approx(figures.gap(metric), abs=1e-12)
        assert entry.last.gap(metric) == pytest.approx(total, abs=1e-12)
        assert entry.last.gaps(metric) == pytest.approx(figures.last_gaps[metric], abs=1e-12)


def test_figures_are_averages_over_the_seeds():
    cells = [make_cell("fine-tune", "keras", seed=seed) for seed in range(2)]
    for cell, value in zip(cells, (0.2, 0.4), strict=True):
        last = cell["explanations"][-1]
        last["terms"]["loss"]["dropout"] = {"value": value, "uncertainty": value / 10}
        last["evaluations"]["D"]["loss"] = value
        last["stages"]["conv5"]["loss"] = value
        for layer in last["layers"]:
            layer["mean_drift"]["median"] = value
    explained = entry_of(*cells).last
    assert explained.values("dropout") == {0: 0.2, 1: 0.4}
    assert explained.term("dropout") == pytest.approx(0.3)
    assert explained.uncertainty("dropout") == pytest.approx(
        0.015
    )  # an earlier version wrote the whole spread
    assert explained.population() == pytest.approx(0.3)
    evaluated = [cell["explanations"][-1]["evaluations"]["E"]["loss"] for cell in cells]
    assert explained.evaluate() == pytest.approx(sum(evaluated) / 2)
    assert explained.stages()["conv5"] == pytest.approx(0.3)
    assert len(explained.layers) == 53
    assert all(layer.mean_drift == pytest.approx(0.3) for layer in explained.layers)


def test_first_best_and_last_are_told_apart():
    cell = make_cell("fine-tune", "keras", epochs=8)
    first = copy.deepcopy(cell["explanations"][0]) | {"epoch": 2, "reason": "asked"}
    cell["explanations"].insert(0, first)
    entry = entry_of(cell)
    chosen = [explained.epochs for explained in (entry.first, entry.best, entry.last)]
    assert chosen == [[2], [5], [8]]


def test_the_worst_layer_is_the_one_furthest_by_divergence_and_the_late_one_lacks_most_steps():
    cell = make_cell("fine-tune", "keras")
    layers = cell["explanations"][-1]["layers"]
    layers[7]["kl"]["median"] = 1e3
    layers[9] |= {"steps": 10, "steps_needed": 400}
    explained = entry_of(cell).last
    assert explained.worst.layer == layers[7]["layer"]
    assert explained.late.layer == layers[9]["layer"]
    for layer in layers:
        layer["steps_needed"] = None
    assert entry_of(cell).last.late is None


def test_a_further_term_is_taken_into_the_sum_and_has_a_name():
    cell = make_cell("fine-tune", "keras")
    for metric in ("loss", "accuracy"):
        cell["explanations"][-1]["terms"][metric]["sample-mix"] = {"value": 1.0, "uncertainty": 0.0}
    before = entry_of(make_cell("fine-tune", "keras")).last.gap()
    explained = entry_of(cell).last
    assert explained.terms == ["weights-moved", "dropout", "batch-noise", "stale-statistics", "samples"]
    assert set(explained.terms[:-1]) <= set(TERMS)
    assert explained.gap() == pytest.approx(before + 1)
    assert label("stale-statistics") == "stale statistics"


def test_a_failed_seed_has_no_part_in_it():
    cells = [make_cell("fine-tune", "keras", seed=seed) for seed in range(2)]
    cells[1]["status"] = "failed: the worker died"
    assert entry_of(*cells).last.epochs == [8]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.update(epoch="7"), "epoch is '7'"),
        (lambda e: e.pop("terms"), "no diagnosis"),
        (lambda e: e["terms"].pop("accuracy"), "accuracy is None"),
        (lambda e: e["terms"]["loss"]["dropout"].pop("value"), "no diagnosis.terms.1.value"),
        (lambda e: e["terms"]["loss"]["dropout"].update(value=None), "diagnosis.terms.1.value is None"),
        (lambda e: e["terms"]["loss"]["dropout"].update(value=math.nan), "finite number"),
        (lambda e: e["terms"].update(loss=7), "diagnosis.terms is 7"),
        (lambda e: e.update(terms=[]), "no diagnosis"),
        (lambda e: e["evaluations"].pop("D"), "no evaluations.population"),
        (lambda e: e["stages"].update(conv5={}), "stage conv5 has no loss"),
        (lambda e: e["layers"][3].pop("kl"), "no layers.3.kl"),
        (lambda e: e["layers"][3].update(layer=7), "layers.3.layer is 7"),
        (lambda e: e["layers"][3].update(steps_needed="many"), "steps_needed is 'many'"),
    ],
)
def test_an_entry_of_another_form_is_named_and_left_out(change, words):
    cell = make_cell("fine-tune", "keras")
    change(cell["explanations"][1])
    (problem,) = read_result(json.dumps(cell))[1]
    assert words in problem
    assert problem.startswith("epoch ")
    assert not entry_of(cell).last
    assert entry_of(cell).best


@pytest.mark.parametrize("found", [None, "x", {}, [None], [[]], [7]])
def test_explanations_that_are_none_leave_the_cell_usable(found):
    cell = make_cell("fine-tune", "keras") | {"explanations": found}
    assert not entry_of(cell).last
    assert gap_of(cell).gap() > 0.1


def test_an_entry_as_cells_write_it_has_no_problem():
    assert read_result(json.dumps(make_cell("fine-tune", "keras")))[1] == []
    assert read_result(json.dumps(make_cell("frozen", "torch")))[1] == []
