"""A run as tables: what is said once for all frameworks, and that each verdict is made once."""

import pytest

from compare.cells.store import CONFIG as CONFIG_FILE
from compare.cli import app as cli
from compare.report import rows
from compare.report.as_json import record
from compare.report.comparison import compare_runs
from compare.report.load import load_run
from compare.report.page import write_report
from compare.report.rows import sentences
from compare.report.terminal import print_results
from compare.words import plain
from tests.support import fake_cells
from tests.support.command_line import options, photos_in
from tests.support.judged import lines, table_of, unexplained
from tests.support.synthetic_run import make_cell, make_cells, make_run
from tests.support.terminals import console_of


def test_frameworks_that_differ_have_a_line_each_and_the_same_line_is_said_once():
    cells = [make_cell("fine-tune", name) for name in ("keras", "torch")]
    assert [line.split(":")[0] for line in lines("fine-tune", *cells)] == ["Keras", "PyTorch"]
    cells = [make_cell("frozen", name) for name in ("keras", "torch")]
    assert lines("frozen", *cells) == ["no gap: fit and evaluate normalise alike"]


def test_a_framework_without_explanations_is_judged_by_its_figures_beside_one_with():
    row = table_of(unexplained("fine-tune", gap=None), make_cell("fine-tune", "torch")).rows["fine-tune"]
    assert [row[name].judgement.measured for name in ("keras", "torch")] == [False, True]
    assert [row[name].judgement.finding for name in ("keras", "torch")] == ["gap", "none"]
    keras, torch = map(plain, sentences(row))
    assert keras.startswith("Keras: gap +0.40 in loss (accuracy 12 points lower): the moving statistics lag")
    assert torch.startswith("PyTorch: no gap")


def test_a_failed_framework_is_named_and_the_other_told():
    cells = make_cells(("frozen",), failed=[("frozen", "torch", 0)])
    assert lines("frozen", *cells) == ["Keras: no gap: fit and evaluate normalise alike", "PyTorch: failed"]


def test_imagenets_statistics_are_called_by_their_name():
    for cell in (make_cell("frozen-batch-stats", "keras"), unexplained("frozen-batch-stats")):
        row = table_of(cell, weights="imagenet").rows["frozen-batch-stats"]
        assert "ImageNet's" in row["keras"].judgement.why
        assert "ImageNet's" in plain(row["keras"].judgement.sentence)


@pytest.fixture
def judgements(monkeypatch):
    """What is judged, each time that it is."""
    made = []

    def judge(*arguments):
        made.append(arguments)
        return kept(*arguments)

    kept = rows.judge
    monkeypatch.setattr(rows, "judge", judge)
    return made


def test_each_verdict_is_made_once_whoever_shows_it(tmp_path, judgements):
    folder = make_run(tmp_path / "run", policies=("frozen-batch-stats", "frozen", "fine-tune"), seeds=2)
    run = load_run(folder)
    print_results(run.tables, console_of(120)[0])
    write_report(run)
    record(run.tables)
    assert len(judgements) == 6


def test_each_verdict_of_a_comparison_is_made_once_too(tmp_path, judgements):
    folders = [make_run(tmp_path / name, policies=("frozen", "fine-tune")) for name in "ab"]
    compared = compare_runs(folders)
    for line in compared.lines:
        assert line.finding(0) == line.finding(1)
    assert len(judgements) == 8
    assert (folders[0] / CONFIG_FILE).is_file()


def test_a_whole_run_makes_each_verdict_once(tmp_path, judgements, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photos_in(tmp_path)
    fake_cells.install(monkeypatch.setattr)
    assert cli.main(options("run")) == 0
    ended = list((tmp_path / "run" / "cells").iterdir())
    assert len(judgements) == len(ended) == 4
    assert (tmp_path / "run" / "report.html").is_file()
    assert "on the same images" in " ".join(capsys.readouterr().out.split())
