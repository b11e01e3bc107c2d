"""The examples that the help of each command gives: they are accepted, and go as far as the work begins."""

import re
import shlex
from types import SimpleNamespace

import pytest
import typer

from compare.cli import app as cli
from compare.semantics.record import read
from tests.support.synthetic_run import make_run

COMMANDS = typer.main.get_command(cli.app).commands
EXAMPLES = [
    line.strip()
    for command in COMMANDS.values()
    for line in re.findall(r"^ *compare .*$", command.help.partition("Examples:")[2], re.MULTILINE)
]


def says(word):
    """A stand-in for work: takes anything, notes that it was called, returns what one asks of."""
    found = SimpleNamespace(findings=(), to_json=dict, same=True, verdict="same", peak_memory=0, undecided=())

    def work(*arguments, **options):
        CALLED.append(word)
        return found

    return work


CALLED = []
MEASURED = [read("keras-3.15.1")]
# by command: what does the work, and what would show it
WORK = {
    "run": {"compare.run.run": lambda *a, **k: CALLED.append("run") or 0},
    "policies": {},
    "diagnose": {
        "compare.given.names.model": says("model"),
        "compare.given.names.data": says("data"),
        "compare.diagnosis.diagnosis.diagnose": says("diagnose"),
        "compare.diagnosis.diagnosis.audit": says("audit"),
    },
    "port": {
        "compare.port.move.port": lambda *a, **k: CALLED.append("port") or {"verdict": "same function"},
        "compare.cli.pair.asked": says("asked"),
        "compare.pair.porting.port": lambda *a, **k: (
            CALLED.append("into") or {"map": [], "verdict": "same", "first": None}
        ),
    },
    "map": {
        "compare.cli.pair.asked": says("asked"),
        "compare.pair.finding.find_map": says("map"),
        "compare.pair.mapfile.write": says("write"),
        "compare.pair.terminal.print_map": says("print"),
    },
    "parity": {
        "compare.cli.pair.asked": says("asked"),
        "compare.pair.proof.prove": says("prove"),
        "compare.pair.certificate.certificate": says("certificate"),
        "compare.pair.terminal.print_outcome": says("print"),
        "compare.parity.certificate.check_parity": says("check"),
        "compare.parity.certificate.read": lambda path, kinds: {"kind": "compare parity"},
        "compare.parity.certificate.check_of": lambda old: (None, ()),
        "compare.parity.certificate.as_json": lambda result: {},
        "compare.parity.certificate.differences": lambda old, new: [],
        "compare.parity.certificate.figures": lambda paper: {},
        "compare.parity.files.compare_files": says("files"),
        "compare.parity.page.render": lambda result: "<html>",
        "compare.parity.terminal.print_files": says("files"),
        "compare.parity.terminal.print_result": says("result"),
    },
    "semantics": {"compare.semantics.measuring.measure": lambda *a, **k: CALLED.append("measure") or MEASURED},
    "report": {},
}  # fmt: skip


def test_every_command_has_examples_of_itself():
    assert set(WORK) == set(COMMANDS)
    for name in COMMANDS:
        assert any(shlex.split(line)[1] == name for line in EXAMPLES), name
    assert all(shlex.split(line)[1] in COMMANDS for line in EXAMPLES)


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_help_s_examples_run(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, command, *options = shlex.split(line)
    if command == "report":
        for word in options:
            if word.startswith("runs/"):
                backbone = "vgg16" if "vgg16" in word else "resnet50"
                make_run(tmp_path / word, policies=("frozen", "fine-tune"), backbone=backbone)
    for place, stand_in in WORK[command].items():
        monkeypatch.setattr(place, stand_in)
    CALLED.clear()
    assert cli.main([command, *options]) == 0, capsys.readouterr().err
    assert CALLED or capsys.readouterr().out


def test_an_example_with_an_option_that_is_none_would_fail(capsys):
    assert cli.main(["policies", "--jsn"]) == 2
    assert "No such option" in capsys.readouterr().err
