"""What a run says goes to nobody when its reader has gone; it goes on all the same."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import options, photos_in
from tests.support.waiting import LONG

ROOT = Path(__file__).parents[2]
FILES = ("results.csv", "history.csv", "gap.csv", "report.html")


def run_into(stdout, stderr, folder, *more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FAKE_CELLS": "{}"}
    command = [sys.executable, "-m", "tests.support.fake_cells", *options("run", *more)]
    return subprocess.run(
        command, env=environment, cwd=folder, stdout=stdout, stderr=stderr, timeout=LONG
    ).returncode


@pytest.fixture
def closed():
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_run_whose_output_nobody_reads_ends_as_it_should(tmp_path, closed, more):
    photos_in(tmp_path)
    assert run_into(closed, closed, tmp_path, *more) == 0
    assert all((tmp_path / "run" / name).stat().st_size for name in FILES)
    cells = [json.loads(path.read_text()) for path in tmp_path.glob("run/cells/*/cell.json")]
    assert [cell["status"] for cell in cells] == ["finished"] * 4


def test_results_that_nobody_reads_leave_the_other_stream_as_it_is(tmp_path, closed):
    photos_in(tmp_path)
    with open(tmp_path / "said", "wb") as said:
        assert run_into(closed, said, tmp_path) == 0
    said = (tmp_path / "said").read_text()
    assert said.count(": finished") == 4
    assert "Error" not in said


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["policies", "--json"], 0),
        (["semantics", "--release", "all", "--json"], 0),
        (["diagnose", "model.py:net", "--audit"], 0),
        (["diagnose", "model.py:net", "--audit", "--json"], 0),
        (["diagnose", "model.py:broken", "--audit"], 1),
    ],
)
def test_the_exit_code_is_the_answers_though_nobody_reads_it(tmp_path, closed, command, code):
    """Of a diagnosis 1 means harm."""
    (tmp_path / "model.py").write_text(MODEL)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-m", "compare", *command],
        env=environment,
        cwd=tmp_path,
        stdout=closed,
        stderr=subprocess.PIPE,
    )
    assert (run.returncode, run.stderr) == (code, b"")


def test_no_command_prints_by_itself():
    """What it prints goes through `say` or a console; both go on when the reader has gone."""
    bare = [
        f"{path.name}:{node.lineno}"
        for path in sorted((ROOT / "compare" / "cli").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        if "file" not in {keyword.arg for keyword in node.keywords}
    ]
    assert bare == []


MODEL = """
from torch import nn
net, broken = (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(2))
broken[1].running_var.fill_(float("nan"))
"""


def test_where_colours_are_forced_on_a_pipe_nothing_moves_and_the_colours_are_there(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    command = [sys.executable, "-c", MOVING]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stderr == "\x1b[1;31mdone\x1b[0m\n"


MOVING = """
import time
from compare.pages.console import Output
console = Output(stderr=True)
with console.status("at work") as status:
    time.sleep(0.3)
    status.update("nearly done")
    time.sleep(0.3)
console.print("done", style="bold red")
"""
