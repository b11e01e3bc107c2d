"""Run directories of every shape, whole and spoilt, and the page that there is of them all the same."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from compare.cells.store import LOCK
from compare.report.load import load_run
from compare.spec import POLICIES, InputError
from tests.support.report_pages import Page, page_of, reported, spoil
from tests.support.synthetic_run import CONFIG, make_cell, make_cells, make_run, write_run


def test_a_spoilt_explanation_is_named_and_the_cell_rendered(tmp_path):
    cells = make_cells(("fine-tune",))
    del cells[0]["explanations"][1]["terms"]["loss"]["dropout"]["value"]
    folder = write_run(tmp_path / "run", cells)
    warning = (
        "cells/keras-fine-tune-native-seed0/cell.json has an explanation that can't be used: "
        "epoch 8: no diagnosis.terms.1.value"
    )
    assert load_run(folder).warnings == [warning]
    text = page_of(folder).text
    assert warning in text
    assert "Keras: gap +0.40 in loss (accuracy 12 points lower): the moving statistics lag behind" in text
    assert "PyTorch: no gap" in text


@pytest.mark.parametrize(
    "grid",
    [
        {"policies": ("frozen",), "frameworks": ("torch",), "epochs": 1},
        {"policies": tuple(POLICIES)},
        {"policies": ("frozen", "fine-tune"), "backbone": "vgg16", "seeds": 3},
        {"policies": ("frozen",), "seeds": 2, "failed": [("frozen", "keras", 0)]},
        {"policies": ("frozen",), "gap": (float("nan"), 0.0)},
        {"policies": ("frozen",), "gap": (0.0, 0.0)},
    ],
    ids=["one-cell", "twenty", "vgg16", "failed-seed", "nan", "no-gap"],
)
def test_runs_of_every_shape_are_rendered_small(tmp_path, grid):
    report = reported(make_run(tmp_path / "run", **grid))
    assert 20_000 < report.stat().st_size < 3_000_000


def test_a_run_whose_cells_all_failed_before_an_epoch(tmp_path):
    (cell,) = make_cells(("frozen",), ("keras",))
    cell |= {"status": "failed: the worker died", "history": [], "fresh": {}}
    text = page_of(write_run(tmp_path, [cell])).text
    assert "failed: the worker died" in text
    assert "No cell finished" in text


def test_a_failed_cell_is_shown_with_its_reason_in_table_and_figure(tmp_path):
    folder = make_run(tmp_path / "run", policies=("fine-tune",), failed=[("fine-tune", "torch", 0)])
    text = Page(reported(folder).read_text()).text
    assert text.count("failed: loss is not finite at epoch") == 2
    assert "PyTorch: failed" in text


def test_some_failed_seeds_are_told_apart_from_the_finished(tmp_path):
    folder = make_run(tmp_path / "run", policies=("frozen",), seeds=3, failed=[("frozen", "torch", 1)])
    text = page_of(folder).text
    assert "PyTorch: 1 of 3 seeds failed: loss is not finite at epoch 3, step 3" in text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"framework": "ker', "can't be read"),
        ("[]", "isn't one of this program's: not an object"),
        (
            json.dumps(make_cell("frozen", "keras") | {"framework": "jax"}),
            "isn't one of this program's: framework is 'jax'",
        ),
        (json.dumps(make_cell("frozen", "keras") | {"policy": ["x"]}), "policy is ['x']"),
        (
            json.dumps(make_cell("frozen", "keras") | {"history": [{"epoch": 1}]}),
            "no history.0.learning_rate",
        ),
        (json.dumps(make_cell("frozen", "keras") | {"history": []}), "finished without an epoch"),
        (json.dumps(make_cell("frozen", "keras") | {"seed": None}), "seed is None"),
        (json.dumps({"framework": "keras"}), "isn't one of this program's: no "),
    ],
)
def test_a_spoilt_cell_is_named_in_one_line_and_the_rest_rendered(tmp_path, text, problem):
    folder = make_run(tmp_path / "run", policies=("fine-tune",))
    spoil(folder, "keras-frozen-native-seed0", text)
    (warning,) = load_run(folder).warnings
    assert warning.startswith("cells/keras-frozen-native-seed0/cell.json ")
    assert problem in warning
    assert "\n" not in warning
    page = page_of(folder)
    assert warning in page.text
    assert "fine-tune" in page.text


def test_a_run_still_going_says_which_cells_have_no_result(tmp_path):
    cells = make_cells(("frozen", "features"), ("torch",))
    names = [f"torch-{policy}-native-seed0" for policy in ("frozen", "features", "fine-tune")]
    folder = write_run(tmp_path, cells, CONFIG | {"cells": names})
    (folder / "cells" / "torch-adapted-native-seed0").mkdir()
    cells_left = "2 of 4 cells have no result yet: torch-adapted-native-seed0, torch-fine-tune-native-seed0"
    assert load_run(folder).warnings == [f"the run isn't finished: {cells_left}"]
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert load_run(folder).warnings == [f"the run is still going: {cells_left}"]
    assert load_run(folder).warnings == [f"the run isn't finished: {cells_left}"]


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_a_run_without_a_configuration_is_rendered(tmp_path, text):
    folder = make_run(tmp_path / "run", policies=("frozen",))
    (folder / "config.json").unlink()
    if text is not None:
        (folder / "config.json").write_text(text)
    assert "config.json" in load_run(folder).warnings[0]
    assert "frozen" in page_of(folder).text


def test_a_configuration_of_another_form_is_shown_as_it_is(tmp_path):
    config = {"settings": "x", "weights": 3, "data": [None], "cells": 7, "versions": {"keras": {"a": [1]}}}
    folder = make_run(tmp_path / "run", config, policies=("frozen",))
    assert load_run(folder).warnings == []
    text = page_of(folder).text
    assert "weights 3" in text
    assert 'keras {"a": [1]}' in text


def test_a_report_that_cannot_be_put_in_place_leaves_nothing_half_written(tmp_path):
    folder = make_run(tmp_path / "run", policies=("frozen",))
    (folder / "report.html" / "taken").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        reported(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells",
        "config.json",
        "figures",
        "report.html",
    ]


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")]
)
def test_what_is_no_run_is_refused_in_one_line(tmp_path, make):
    path = tmp_path / "nothing"
    make(path)
    with pytest.raises(
        InputError, match=r"run directory '.*nothing' (doesn't exist|holds no cell)"
    ) as refusal:
        reported(path)
    assert "\n" not in str(refusal.value)


def test_no_framework_is_imported(tmp_path):
    folder = make_run(tmp_path / "run", policies=("frozen",))
    program = (
        "import sys; from compare.report.load import load_run; from compare.report.page import write_report;"
        "write_report(load_run(sys.argv[1]));"
        "sys.exit(bool({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program, str(folder)], cwd=root, check=False).returncode == 0
