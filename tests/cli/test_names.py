"""A file of code alone names nothing in it: one line says what is missing, whichever command it is given to."""

import pytest

from compare.cli.app import main

MODEL, CODE = "code.py:model", "code.py"
COMMANDS = (
    ["diagnose", CODE],
    ["diagnose", MODEL, "--data", CODE],
    ["diagnose", MODEL, "--data", MODEL, "--loss", CODE],
    ["diagnose", MODEL, "--data", MODEL, "--reported", CODE],
    ["map", MODEL, CODE],
    ["parity", CODE, "weights.pth"],
    ["port", MODEL, "moved.pth", "--into", CODE],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_file_of_code_is_named_with_what_is_missing(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / CODE).write_text("def model():\n    return 3\n")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "code.py: say which of its names is" in said
    assert "code.py:NAME" in said
    assert said.count("\n") == 1
