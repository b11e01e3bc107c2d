import json
import subprocess
import sys
from pathlib import Path

import pytest

from compare.cli import app as cli
from tests.support.synthetic_run import make_cell, make_run, write_run

ROOT = Path(__file__).parents[2]


def printed(capsys, *arguments):
    assert cli.main(["report", *map(str, arguments)]) == 0
    return capsys.readouterr()


def test_a_run_is_rendered_again_with_its_table(tmp_path, capsys):
    folder = make_run(tmp_path / "run", policies=("fine-tune",))
    out = printed(capsys, folder).out
    assert "fine-tune" in out
    assert "To re-estimate the moving statistics before evaluate (fine-tune):" in out
    assert out.splitlines()[-1] == f"report: {folder}/report.html"
    (folder / "report.html").unlink()
    printed(capsys, folder, "--out", tmp_path / "new" / "place")
    assert (tmp_path / "new" / "place" / "figures" / "terms-resnet50-native.png").is_file()
    assert not (folder / "report.html").exists()


def test_the_json_has_the_figures_of_the_cells(tmp_path, capsys):
    folder = make_run(tmp_path / "run", policies=("frozen", "fine-tune"), seeds=3)
    found = json.loads(printed(capsys, folder, "--json").out)
    assert not (folder / "report.html").exists()
    (table,) = found["tables"]
    rows = {(row["policy"], row["framework"]): row for row in table["rows"]}
    assert len(rows) == 4
    row = rows["fine-tune", "keras"]
    cells = [make_cell("fine-tune", "keras", seed=seed) for seed in range(3)]
    gaps = [c["history"][-1]["evaluate"]["loss"] - c["history"][-1]["fit"]["loss"] for c in cells]
    assert row["gap"]["loss"]["mean"] == pytest.approx(sum(gaps) / 3)
    low, high = row["gap"]["loss"]["interval"]
    assert low < min(gaps) < max(gaps) < high or low < row["gap"]["loss"]["mean"] < high
    assert row["seeds"] == [0, 1, 2]
    low, high = row["mean_gap"]["loss"]["interval"]
    assert low < row["mean_gap"]["loss"]["mean"] < high
    terms = row["explained"]["last"]["terms"]["loss"]
    assert sum(term["mean"] for term in terms.values()) == pytest.approx(row["gap"]["loss"]["mean"])
    assert row["verdict"]["cause"] == "stale-statistics"
    assert row["verdict"]["cures"][0]["code"].startswith("for layer in base.layers:")
    assert rows["frozen", "torch"]["verdict"] == {
        "finding": "none",
        "metric": "loss",
        "source": "same",
        "cause": None,
        "measured": True,
        "sentence": "no gap: fit and evaluate normalise alike",
        "more": [],
        "cures": [],
    }
    between = [t for t in table["tests"] if t["metric"] == "loss" and t["within"] == "fine-tune"]
    assert [(test["a"], test["b"], test["seeds"]) for test in between] == [("keras", "torch", 3)]
    assert between[0]["p"] < 0.05


def test_the_json_has_no_interval_and_no_test_with_one_seed_and_null_for_what_is_no_number(tmp_path, capsys):
    cells = [make_cell("fine-tune", "keras", gap=(float("nan"), 0.0)), make_cell("frozen", "torch")]
    cells.append(make_cell("frozen", "keras", status="failed: the worker died"))
    out = printed(capsys, write_run(tmp_path / "run", cells), "--json").out
    (table,) = json.loads(out, parse_constant=pytest.fail)["tables"]
    assert table["tests"] == []
    rows = {(row["policy"], row["framework"]): row for row in table["rows"]}
    assert rows["fine-tune", "keras"]["gap"]["loss"] == {"mean": None, "interval": None}
    assert rows["frozen", "torch"]["gap"]["loss"]["interval"] is None
    assert rows["frozen", "keras"]["failed"] == {"0": "failed: the worker died"}


def test_what_cannot_be_read_is_a_line_on_stderr_and_the_rest_is_shown(tmp_path, capsys):
    folder = make_run(tmp_path / "run", policies=("frozen",), frameworks=("torch",))
    cut = folder / "cells" / "keras-frozen-native-seed0"
    cut.mkdir()
    (cut / "cell.json").write_text('{"framework": "ker')
    (folder / "config.json").unlink()
    found = printed(capsys, folder)
    first, second = found.err.splitlines()
    assert first == "warning: config.json is missing"
    assert second.startswith("warning: cells/keras-frozen-native-seed0/cell.json can't be read: ")
    assert "frozen" in found.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "error: run directory 'none' doesn't exist"),
        (["empty"], "error: run directory 'empty' holds no cell that has ended (config.json is missing)"),
        (["run", "none"], "error: run directory 'none' doesn't exist"),
        (["run", "--out", "file"], "error: --out file is a file; it must be a directory"),
        ([], "error: Missing argument 'RUN...'. (see compare report --help)"),
    ],
)
def test_what_is_no_run_is_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", policies=("frozen",))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert cli.main(["report", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == words


def test_the_default_run_is_rendered_without_a_framework(tmp_path):
    """That takes no more than seconds; `benchmarks.report_again` prints how many."""
    folder = make_run(tmp_path / "run")
    program = (
        "import sys; from compare.cli.app import main; code = main(['report', sys.argv[1]]);"
        "sys.exit(code or bool({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(folder)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0
