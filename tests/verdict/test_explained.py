import copy
import math

import pytest

from compare.verdict.explained import TERMS, label, problem
from compare.verdict.figures import groups
from tests.support.synthetic_run import CONFIG, make_cell


def figures_of(*cells):
    (group,) = groups(CONFIG, cells)
    return group.rows[cells[0]["policy"]][cells[0]["framework"]]


def entry():
    return make_cell("fine-tune", "keras")["explanations"][1]


def test_the_terms_add_up_to_the_gap_over_several_seeds_too():
    figures = figures_of(*(make_cell("fine-tune", "keras", seed=seed) for seed in range(3)))
    for metric in ("loss", "accuracy"):
        total = math.fsum(figures.last_explained.term(name, metric) for name in TERMS)
        assert total == pytest.approx(figures.gap(metric), abs=1e-12)
        assert figures.last_explained.gap(metric) == pytest.approx(total, abs=1e-12)
        assert figures.last_explained.gaps(metric) == pytest.approx(figures.gaps(metric), abs=1e-12)


def test_figures_are_averages_over_the_seeds():
    cells = [make_cell("fine-tune", "keras", seed=seed) for seed in range(2)]
    for cell, value in zip(cells, (0.2, 0.4), strict=True):
        last = cell["explanations"][-1]
        last["terms"]["loss"]["dropout"] = {"value": value, "uncertainty": value / 10}
        last["evaluations"]["D"]["loss"] = value
        last["stages"]["conv5"]["loss"] = value
        for layer in last["layers"]:
            layer["mean_drift"]["median"] = value
    explained = figures_of(*cells).last_explained
    assert explained.values("dropout") == {0: 0.2, 1: 0.4}
    assert explained.term("dropout") == pytest.approx(0.3)
    assert explained.uncertainty("dropout") == pytest.approx(0.03)
    assert explained.evaluation("D") == pytest.approx(0.3)
    assert explained.stages()["conv5"] == pytest.approx(0.3)
    assert len(explained.layers) == 53
    assert all(layer["mean_drift"] == pytest.approx(0.3) for layer in explained.layers)


def test_first_best_and_last_are_told_apart():
    cell = make_cell("fine-tune", "keras", epochs=8)
    first = copy.deepcopy(cell["explanations"][0]) | {"epoch": 2, "reason": "asked"}
    cell["explanations"].insert(0, first)
    figures = figures_of(cell)
    chosen = [getattr(figures, f"{which}_explained").epochs for which in ("first", "best", "last")]
    assert chosen == [[2], [5], [8]]


def test_the_worst_layer_is_the_one_furthest_by_divergence_and_the_late_one_lacks_most_steps():
    cell = make_cell("fine-tune", "keras")
    layers = cell["explanations"][-1]["layers"]
    layers[7]["kl"]["median"] = 1e3
    layers[9] |= {"steps": 10, "steps_needed": 400}
    explained = figures_of(cell).last_explained
    assert explained.worst["layer"] == layers[7]["layer"]
    assert explained.late["layer"] == layers[9]["layer"]
    for layer in layers:
        layer["steps_needed"] = None
    assert figures_of(cell).last_explained.late is None


def test_a_further_term_is_taken_into_the_sum_and_has_a_name():
    cell = make_cell("fine-tune", "keras")
    for metric in ("loss", "accuracy"):
        cell["explanations"][-1]["terms"][metric]["sample-mix"] = {"value": 1.0, "uncertainty": 0.0}
    before = figures_of(make_cell("fine-tune", "keras")).last_explained.gap()
    explained = figures_of(cell).last_explained
    assert explained.terms == [*TERMS, "sample-mix"]
    assert explained.gap() == pytest.approx(before + 1)
    assert label("sample-mix") == "another mix of samples"


def test_a_failed_seed_has_no_part_in_it():
    cells = [make_cell("fine-tune", "keras", seed=seed) for seed in range(2)]
    cells[1]["status"] = "failed: the worker died"
    assert figures_of(*cells).last_explained.epochs == [8]


def spoilt(change):
    spoiled = entry()
    change(spoiled)
    return spoiled


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.update(epoch="7"), "epoch is '7'"),
        (lambda e: e.pop("terms"), "no 'terms'"),
        (lambda e: e["terms"].pop("accuracy"), "no 'accuracy'"),
        (lambda e: e["terms"]["loss"].pop("dropout"), "epoch 8: no term dropout"),
        (lambda e: e["terms"]["loss"]["dropout"].pop("value"), "no 'value'"),
        (lambda e: e["terms"]["loss"]["dropout"].update(value=None), "a figure that isn't a number"),
        (lambda e: e["terms"]["loss"]["dropout"].update(value=math.nan), "a figure that isn't a number"),
        (lambda e: e["terms"].update(loss=[]), "not of the right form"),
        (lambda e: e["evaluations"].pop("D"), "no 'D'"),
        (lambda e: e["stages"].update(conv5={}), "no 'loss'"),
        (lambda e: e["layers"][3].pop("kl"), "no 'kl'"),
        (lambda e: e["layers"][3].update(layer=7), "a layer without a name"),
        (lambda e: e["layers"][3].update(steps_needed="many"), "a figure that isn't a number"),
    ],
)
def test_an_entry_of_another_form_is_known_and_left_out(change, words):
    assert words in problem(spoilt(change))
    cell = make_cell("fine-tune", "keras")
    cell["explanations"][1] = spoilt(change)
    assert not figures_of(cell).last_explained
    assert figures_of(cell).best_explained


@pytest.mark.parametrize("found", [None, "x", {}, [None], [[]], [7]])
def test_explanations_that_are_none_leave_the_cell_usable(found):
    cell = make_cell("fine-tune", "keras") | {"explanations": found}
    assert not figures_of(cell).last_explained
    assert figures_of(cell).gap() > 0.1


def test_an_entry_as_cells_write_it_has_no_problem():
    assert problem(entry()) == ""
    assert problem(make_cell("frozen", "torch")["explanations"][0]) == ""
