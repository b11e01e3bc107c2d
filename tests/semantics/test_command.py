"""The command `compare semantics`, measuring in processes that import no framework."""

import json

import pytest

from compare import frameworks
from compare.cli import app as cli
from compare.semantics import measuring
from tests.support import fake_benches


@pytest.fixture
def fake(monkeypatch):
    """Measure in processes that import no framework."""
    monkeypatch.setattr(frameworks, "find_spec", lambda name: None if name == "jax" else name)
    fake, real = fake_benches.measured, measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda names, jobs, only=None: real(names, jobs, only, fake))


def run(capsys, *arguments):
    code = cli.main(["semantics", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_measured_now_and_recorded_then_are_told_apart(fake, capsys):
    code, out, _ = run(capsys, "--framework", "torch", "--release", "keras-2.1.3", "--json")
    now, then = json.loads(out)
    assert code == 0
    assert (now["release"], now["how"]) == ("torch-9.0", "measured")
    assert (then["release"], then["how"]) == ("keras-2.1.3", "recorded")
    code, out, _ = run(capsys, "--framework", "torch", "--release", "keras-2.1.3")
    assert code == 0
    assert "PyTorch 9.0: measured now" in out
    assert "Keras 2.1.3: recorded 2026-" in out


def test_the_whole_table_is_of_everything_installed(fake, capsys):
    code, out, _ = run(capsys, "--json")
    assert code == 0
    assert [record["release"] for record in json.loads(out)] == ["keras-9.0", "keras-9.0-torch", "torch-9.0"]
    rows = [[row["spelling"] for row in record["rows"]] for record in json.loads(out)]
    assert rows == [fake_benches.TITLES] * 3


def test_a_table_says_where_this_version_differs_from_the_recorded(fake, capsys):
    _, out, _ = run(capsys, "--framework", "torch")
    assert "cells from PyTorch" in out
    assert "bn relapse: not recorded" in out


def test_files_are_written(fake, capsys, tmp_path):
    code, _, _ = run(capsys, "--framework", "torch", "--out", str(tmp_path / "new"))
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["semantics.md", "torch-9.0.json"]
    assert "## PyTorch 9.0: measured now" in (tmp_path / "new" / "semantics.md").read_text()


def test_an_explanation_says_what_a_row_leads_to(capsys):
    code, out, _ = run(capsys, "--explain", "layer.trainable = False", "--release", "keras-2.1.3")
    text = " ".join(out.split())
    assert code == 0
    assert "Keras 2.1.3: recorded" in text
    assert "bn.trainable = False" in text
    assert "Training normalises with the batch's own mean and variance. The moving statistics stay" in text
    assert "Gap: The large one, for good" in text
    assert "Policy: frozen-batch-stats" in text
    assert "In PyTorch: bn.requires_grad_(False); bn.track_running_stats = False" in text
    assert "bn.track_running_stats = False, set later, and requires_grad_(False)" in text
    assert "Keras 2.1.2 (recorded" in text


def test_an_explanation_as_json(fake, capsys):
    code, out, _ = run(capsys, "--explain", "requires_grad_(False)", "--framework", "torch", "--json")
    (found,) = json.loads(out)
    assert (code, found["release"], found["how"]) == (0, "torch-9.0", "measured")
    assert [row["spelling"] for row in found["rows"]] == ["requires_grad_(False)"]
    assert any(line.startswith("Gap: The large one") for line in found["said"])


def test_backends_that_do_the_same_are_said_once(fake, capsys):
    code, out, _ = run(capsys, "--explain", "layer.trainable = False")
    assert code == 0
    assert out.count("Gap:") == 1
    assert "The same in Keras 9.0 on PyTorch 9.0: measured now" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--release", "keras-2.2.0"], ["'keras-2.2.0' isn't recorded", "keras-2.2.4", "tools/legacy_keras"]),
        (["--framework", "keras-jax"], ["isn't installed", "there are keras, keras-torch, torch", "compare-bn[jax]"]),
        (["--framework", "caffe"], ["unknown framework 'caffe'", "keras-torch"]),
        (["--explain", "layer.trainable = Flase"], ["did you mean 'layer.trainable = False'"]),
        (["--explain", "layer.trainable = False", "--out", "x"], ["--out x", "no file"]),
        (["--explain", "trainable", "--release", "keras-2.1.3"], ["is part of", "layer.trainable = False"]),
    ],
)  # fmt: skip
def test_what_isnt_there_is_one_line(fake, capsys, arguments, words):
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(word in err for word in words), err


def test_a_worker_that_dies_is_said(fake):
    with pytest.raises(RuntimeError, match=r"the keras-torch worker died \(exit code 3\)"):
        measuring.measure(["keras-torch"], 1, "crash")
