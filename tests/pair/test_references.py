"""What a person gives is understood, or refused in one line that says what would be right."""

import pytest

from compare.cli import app as cli
from compare.pair import references
from compare.pair.inputs import draw, shapes
from compare.spec import InputError


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.py").write_text("import keras\n")
    (tmp_path / "theirs.py").write_text("from torch import nn\n")
    (tmp_path / "plain.py").write_text("import numpy\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    return tmp_path


@pytest.mark.parametrize(
    "given", [("ours.py:build", "theirs.py:build"), ("theirs.py:build", "ours.py:build")]
)
def test_the_framework_is_told_by_what_a_file_imports(files, given):
    keras, torch = references.pair(*given)
    assert (keras.text, torch.text) == ("ours.py:build", "theirs.py:build")


def test_a_file_that_imports_neither_is_of_the_framework_that_is_missing(files):
    keras, torch = references.pair("plain.py:build", "ours.py:build")
    assert (keras.text, torch.text) == ("ours.py:build", "plain.py:build")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (("ours.py:build", "ours.py:build"), "both Keras"),
        (("none.py:build", "theirs.py:build"), "none.py:build: there is no file none.py"),
        (("ours.py:build", "broken.py:build"), "Python"),
        (("no_module_of_this_name:build", "theirs.py:build"), "no such module"),
        (("ours.py:build", "theirs.pth"), "FILE.py:NAME"),
    ],
)
def test_a_wrong_reference_is_one_line(files, capsys, given, word):
    for command in ("map", "parity"):
        assert cli.main([command, *given]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error:")
        assert said.count("\n") == 1
        assert word in said


@pytest.mark.parametrize(
    ("text", "wanted", "word"),
    [
        (None, [], "--input"),
        (None, [{"shape": [None, None, 3], "integer": False, "below": 0, "name": "x"}], "open"),
        ("8x8", [{"shape": [None, 8, 8, 3], "integer": False, "below": 0, "name": "x"}], "takes 8x8x3"),
        ("8xx", [], "32x32x3"),
        ("4,4", [{"shape": [None, 4], "integer": False, "below": 0, "name": "x"}], "2 shapes for 1"),
    ],
)
def test_a_wrong_shape_is_refused(text, wanted, word):
    with pytest.raises(InputError, match=word):
        shapes(text, wanted)


def test_integers_are_drawn_below_what_a_layer_takes():
    wanted = shapes("5", [{"shape": [None, None], "integer": True, "below": 7, "name": "x"}])
    drawn = draw(wanted, 0, 0, "float64")[0]
    assert drawn.shape[1:] == (5,)
    assert drawn.dtype.kind == "i"
    assert drawn.max() < 7


def test_weights_alone_are_no_model(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"x")
    with pytest.raises(InputError, match="weights alone don't say what computes with them"):
        references.reference(str(tmp_path / "a.pth"))
