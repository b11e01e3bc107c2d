"""A place that can't be written is refused in one line before the work begins."""

import os

import pytest

from compare.cli import places
from compare.cli.app import main
from compare.spec import InputError

COMMANDS = {
    "diagnose": ["diagnose", "train.py:model", "--data", "train.py:loader"],
    "parity of two models": ["parity", "a.keras", "b.py:Net", "--input", "3"],
    "parity": ["parity", "--backbone", "vgg16"],
    "map": ["map", "a.keras", "b.py:Net"],
    "semantics": ["semantics", "--framework", "torch"],
    "report": ["report", "runs/a"],
    "run": ["run", "--backbone", "resnet50"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("out", ["a file/below", "a file/below/it"])
def test_a_file_where_a_directory_must_be_is_found_before_the_work(
    tmp_path, monkeypatch, capsys, command, out
):
    """None of the models is there: the place is looked at first, and no minute of work is lost on it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("kept")
    assert main([*command, "--out", out]) == 2
    said = capsys.readouterr().err
    assert "a file" in said
    assert said.count("\n") == 1
    assert (tmp_path / "a file").read_text() == "kept"


def test_nothing_is_made_before_there_is_a_result(tmp_path):
    places.folder(tmp_path / "new" / "deep")
    places.file(tmp_path / "map.json")
    places.folder(None)
    places.file(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", [".", "new", "new/deep"])
def test_a_directory_that_may_not_be_written_in_is_refused(tmp_path, monkeypatch, below):
    may = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: may(path, mode) and not (mode & os.W_OK and path == tmp_path)
    )
    with pytest.raises(InputError, match="may not be written in"):
        places.folder(tmp_path / below)
    with pytest.raises(InputError, match=r"may not be written in|there is no directory"):
        places.file(tmp_path / below / "map.json")


def test_a_map_is_no_directory_and_lies_in_one(tmp_path):
    with pytest.raises(InputError, match="is a directory; it must be a file"):
        places.file(tmp_path)
    with pytest.raises(InputError, match="there is no directory"):
        places.file(tmp_path / "nowhere" / "map.json")
