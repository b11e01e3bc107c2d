"""A file of code alone names nothing in it: one line says what is missing, whichever command it is given to."""

import pytest

from compare.cli.app import main
from compare.given.code import is_code

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
    assert said.endswith("code.py: say which of its names is meant, code.py:NAME\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("code.py:model", True),
        ("code.py", True),
        ("a/b c.py:net.inner", True),
        ("package.module:build", True),
        ("réseau.py:modèle", True),
        ("weights.pth", False),
        ("model.keras", False),
        ("C:weights", True),
        ("code.py:", False),
        (":model", False),
        ("code.py:3d", False),
        ("a-b:model", False),
        ("", False),
    ],
)
def test_what_names_something_in_code_is_told_from_what_names_a_file(text, code):
    assert is_code(text) == code
