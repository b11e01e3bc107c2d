"""What the command line takes and refuses, its help, and what its smaller commands print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from compare import frameworks
from compare.cli import app as cli
from compare.spec import POLICIES
from tests.support.command_line import options, photos_in, refused

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(cli.app).commands


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A small folder of images, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return photos_in(tmp_path)


BACKBONE = ("run", "--backbone", "resnet50")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "Missing command"),
        (("rnu",), "rnu"),
        (("run",), "--backbone"),
        (("run", "--backbone", "resnet51"), "unknown backbone 'resnet51': did you mean 'resnet50'?"),
        ((*BACKBONE, "--policy", "finetune"), "unknown policy 'finetune': did you mean 'fine-tune'?"),
        ((*BACKBONE, "--framework", "pytorch"), "unknown framework 'pytorch': did you mean 'torch'?"),
        ((*BACKBONE, "--preset", "fast"), "unknown preset 'fast'"),
        ((*BACKBONE, "--numerics", "mached"), "did you mean 'matched'?"),
        ((*BACKBONE, "--explain", "every"), "unknown --explain 'every': did you mean 'every-epoch'?"),
        ((*BACKBONE, "--epochs", "0"), "0 must be a whole number, 1 or more"),
        ((*BACKBONE, "--epochs", "two"), "two must be a whole number"),
        ((*BACKBONE, "--batch-size", "-4"), "-4 must be a whole number"),
        (
            (*BACKBONE, "--batch-size", "1"),
            "--batch-size 1: frozen-batch-stats, frozen-drifting, bn-trainable",
        ),
        ((*BACKBONE, "--image-size", "31"), "31 must be a whole number, 32 or more"),
        ((*BACKBONE, "--seeds", "0"), "'--seeds'"),
        ((*BACKBONE, "--jobs", "0"), "'--jobs'"),
        ((*BACKBONE, "--learning-rate", "0"), "0 must be a number above zero"),
        ((*BACKBONE, "--learning-rate", "-0.1"), "-0.1 must be a number above zero"),
        ((*BACKBONE, "--learning-rate", "nan"), "nan must be a number above zero"),
        ((*BACKBONE, "--learning-rate", "inf"), "inf must be a number above zero"),
        ((*BACKBONE, "--learning-rate", "abc"), "abc must be a number above zero"),
        ((*BACKBONE, "--polcy", "frozen"), "No such option"),
        ((*BACKBONE, "--data", "nowhere"), "nowhere"),
        ((*BACKBONE, "--resume"), "--resume: which run?"),
        ((*BACKBONE, "--resume", "--out", "nowhere"), "there is no run in nowhere"),
        ((*BACKBONE, "--out", "photos"), "photos holds something else than a run"),
    ],
)
def test_bad_input_is_one_line_and_nothing_written(photos, capsys, arguments, part):
    before = sorted(photos.rglob("*"))
    assert part in refused(capsys, *arguments)
    assert sorted(photos.rglob("*")) == before


def test_weights_that_cannot_be_used_leave_nothing(photos, capsys):
    arguments = [argument.replace("random", "photos/cats/000.jpg") for argument in options("runs/a")]
    refused(capsys, *arguments)
    assert os.listdir(photos) == ["photos"]


def test_a_batch_larger_than_the_data_is_refused(photos, capsys):
    assert "40" in refused(capsys, *options("a", "--batch-size", "40"))
    assert os.listdir(photos) == ["photos"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_has_examples_and_imports_nothing_heavy(command):
    script = """
import sys
from compare import frameworks
from compare.cli import app as cli
code = cli.main(sys.argv[1:])
heavy = {"tensorflow", "keras", "torch", "numpy", "matplotlib", "PIL", "h5py"} & set(sys.modules)
sys.exit(f"{code} {heavy}" if code or heavy else 0)
"""
    call = [sys.executable, "-c", script, *command, "--help"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Examples:\n" in done.stdout
    assert " ".join(["compare", *command]) in done.stdout.partition("Examples:\n")[2]


def test_python_m_compare_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "compare", "nonsense"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr[:22]) == (2, "error: No such command")


def test_policies_are_listed_with_each_spelling(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["policies"]) == 0
    text = capsys.readouterr().out
    for policy in POLICIES.values():
        for part in (policy.name, policy.keras, policy.torch, policy.who):
            assert part in text


def test_policies_as_json(capsys):
    assert cli.main(["policies", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [policy["name"] for policy in listed] == list(POLICIES)
    assert listed[0]["fit_statistics"] == "batch"


def test_port_as_json_keeps_its_lines_off_stdout(capsys, monkeypatch):
    def port(source, dest, *, say, **options):
        say(f"read {source}")
        return {"verdict": "differs", "stages": []}

    monkeypatch.setattr("compare.port.move.port", port)
    assert cli.main(["port", "a.keras", "b.pth", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["verdict"] == "differs"
    assert printed.err == "read a.keras\n"
    assert cli.main(["port", "a.keras", "b.pth"]) == 1
    assert capsys.readouterr().out == "read a.keras\n"


@pytest.mark.parametrize("lines", [[], ["forward: was same, now differs"]])
def test_a_repeated_parity_check_as_json(capsys, monkeypatch, lines):
    monkeypatch.setattr("compare.parity.certificate.read", lambda path, kinds: {"kind": "compare parity"})
    monkeypatch.setattr("compare.parity.certificate.check_of", lambda old: (None, ()))
    monkeypatch.setattr("compare.parity.certificate.differences", lambda old, new: lines)
    monkeypatch.setattr("compare.cli.proofs.with_progress", lambda *check: {"policies": {}})
    assert cli.main(["parity", "--check", "certificate.json", "--json"]) == len(lines)
    found = json.loads(capsys.readouterr().out)
    assert found == {"reproduced": not lines, "differences": lines, "certificate": {"policies": {}}}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("torch", "torch"), "framework 'torch' is named twice"),
        (("keras-jacks",), "unknown framework 'keras-jacks': did you mean 'keras-jax'"),
        (
            ("keras-jax",),
            "framework 'keras-jax' isn't installed; there are keras, keras-torch, torch. Get it with",
        ),
    ],
)
def test_a_framework_that_cannot_be_had_is_one_line(monkeypatch, capsys, names, words):
    monkeypatch.setattr(frameworks, "find_spec", lambda name: None if name == "jax" else name)
    options = [part for name in names for part in ("--framework", name)]
    assert cli.main(["run", "--backbone", "resnet50", *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


@pytest.mark.parametrize(
    "command", ["parity --backbone resnet50 --frameworks", "semantics --framework torch --framework"]
)
def test_a_framework_is_named_once_to_each_command(capsys, command):
    words = command.split() + (["torch", "torch"] if command.startswith("parity") else ["torch"])
    assert refused(capsys, *words) == "error: framework 'torch' is named twice; name each once\n"


@pytest.mark.parametrize(
    ("arguments", "option", "what"),
    [
        ("parity keras.py:build torch.py:build --batch-size 8", "--batch-size", "a check of two models"),
        ("parity keras.py:build torch.py:build --device cuda", "--device", "a check of two models"),
        ("parity a.pth b.pth --steps 10", "--steps", "a comparison of two files"),
        ("parity --backbone vgg16 --map map.json", "--map", "a check of a backbone"),
        ("parity --check certificate.json --seed 0", "--seed", "a certificate's check"),
        ("port a.pth b.keras --map map.json", "--map", "a port without --into"),
        ("port a.pth b.keras --into m.py:build --fold-bias", "--fold-bias", "a port into a class"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(capsys, arguments, option, what):
    line = refused(capsys, *arguments.split())
    assert line.startswith(f"error: {option}: {what}")
    assert line.endswith("doesn't take it; leave it out\n")
