import json

import pytest

from compare.frameworks import FRAMEWORKS
from compare.gap.reading import read_result
from compare.report.rows import tabulate
from compare.report.terminal import print_results
from compare.spec import POLICIES
from tests.support.synthetic_run import CONFIG, make_cells
from tests.support.terminals import console_of


def printed(cells, width=120, encoding="utf-8", colour=False, config=CONFIG):
    console, text = console_of(width, encoding, colour)
    print_results(tabulate(config, [read_result(json.dumps(cell))[0] for cell in cells]), console)
    return text()


@pytest.mark.parametrize("width", [40, 50, 80, 100, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_table_fits_and_cuts_nothing_off(width, encoding):
    text = printed(make_cells(tuple(POLICIES)), width, encoding)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(policy in text for policy in POLICIES)
    assert text.count("gap") > len(POLICIES)


@pytest.mark.parametrize("width", [80, 120, 160])
def test_four_frameworks_have_their_own_labels_and_nothing_is_cut_off(width):
    text = printed(make_cells(("frozen-batch-stats", "fine-tune"), tuple(FRAMEWORKS)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    flat = " ".join(text.split())
    for label in ("Keras on TensorFlow", "Keras on JAX", "Keras on PyTorch"):
        assert label in flat
    assert (
        " Keras on TensorFlow, Keras on JAX, Keras on PyTorch and PyTorch agree" in flat
        or "differ in" in flat
    )
    assert "Keras: bn.trainable = False for every BN layer" in flat


def test_losses_of_two_digits_are_not_cut():
    (cell,) = make_cells(("fine-tune",), ("keras",))
    cell["history"][-1]["evaluate"]["loss"] = 123.456
    assert "→ 123.46" in printed([cell], 80)


def test_figures_and_signs_stand_in_the_row():
    (cell,) = make_cells(("fine-tune",), ("torch",), epochs=1)
    cell["history"][0]["fit"] |= {"loss": 0.41, "accuracy": 0.8}
    cell["history"][0]["evaluate"] |= {"loss": 0.62, "accuracy": 0.71}
    text = printed([cell])
    assert "0.41 → 0.62 +0.21 +0.21" in text
    assert "  80 →   71    -9    -9" in text


def test_a_gap_is_red_and_none_is_green():
    (above,) = make_cells(("fine-tune",), ("keras",), gap=(0.3, -0.1))
    (below,) = make_cells(("fine-tune",), ("keras",), gap=(-0.3, 0.1))
    assert "\x1b[1;31m" in printed([above], colour=True)
    assert "\x1b[32m" not in printed([above], colour=True)
    assert "\x1b[32m" in printed([below], colour=True)
    assert "\x1b[1;31m" not in printed([below], colour=True)


def test_seeds_are_averaged_and_their_number_is_said():
    one, two = make_cells(("frozen",), ("keras",), seeds=2, epochs=1)
    for cell, loss in ((one, 0.2), (two, 0.4)):
        cell["history"][0]["fit"]["loss"] = loss
    text = printed([one, two])
    assert "0.30 →" in text
    assert "averages of 2 seeds" in text
    assert "averages" not in printed([one])


def test_a_failed_cell_shows_its_reason_and_an_absent_one_that_it_was_not_run():
    cells = make_cells(("frozen", "features"), failed=[("frozen", "torch", 0)])
    text = " ".join(printed(cells[:3]).split())
    assert "failed: loss is not" in text
    assert "not run" in text


def test_a_status_is_text_and_no_markup():
    (cell,) = make_cells(("frozen",), ("keras",), failed=[("frozen", "keras", 0)])
    cell["status"] = "failed: [red]a[/red]"
    assert "[red]a[/red]" in printed([cell])


def test_a_run_as_an_old_release_says_so():
    settings = {**CONFIG["settings"], "release": "keras-2.2.4"}
    text = printed(make_cells(("frozen",), numerics="matched"), config={**CONFIG, "settings": settings})
    assert "ResNet50, as keras-2.2.4: loss" in text


def test_each_numerics_has_a_table_of_its_own():
    text = printed(make_cells(("frozen",)) + make_cells(("frozen",), numerics="matched"))
    assert "ResNet50, native numerics" in text
    assert "ResNet50, matched numerics" in text


def test_what_a_person_came_for_is_the_first_line():
    cells = make_cells(("frozen", "fine-tune"))
    first, why = printed(cells).splitlines()[:2]
    assert first.startswith("Keras, fine-tune: fit says 0.")
    assert first.endswith(" on the same images (loss).")
    assert why.startswith("  Why: moving statistics that lag behind")
    assert "\x1b[1;31mfit says" in printed(cells, colour=True)


def test_the_words_of_a_gap_are_red_and_those_of_none_green_without_being_read_again():
    cells = make_cells(("frozen", "fine-tune"))
    text = printed(cells, colour=True)
    assert "\x1b[1;31mgap\x1b[0m +0." in text
    assert "\x1b[32mno gap\x1b[0m: " in text
