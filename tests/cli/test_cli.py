"""A run from the command line: begun, interrupted, gone on with, refused."""

import errno
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from compare.cli import app as cli
from tests.support import fake_cells
from tests.support.command_line import options, photos_in, refused
from tests.support.processes import left_running
from tests.support.waiting import LONG, until

ROOT = Path(__file__).parents[2]
TABLES = ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A small folder of images, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return photos_in(tmp_path)


def start(*arguments, **misbehave):
    """Start the command with fake cells, in a process group of its own, as a terminal does."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FAKE_CELLS": json.dumps(misbehave.get("cells", {})),
        "FAKE_CELLS_LOG": "log",
    }
    command = [sys.executable, "-m", "tests.support.fake_cells", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a background job's children ignore Ctrl-C, and so would this command where the tests run in the background
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=listen, **pipes)


def finish(process):
    stdout, stderr = process.communicate(timeout=LONG)
    return process.returncode, stdout, stderr


def wait_for_hang(folder):
    """Wait until three of the four cells are finished and the last hangs; return the log's lines."""
    log = folder / "log"

    def lines():
        said = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        finished = len(list(folder.glob("cut/cells/*/cell.json"))) == 3
        return said if finished and any(line[1] == "hang" for line in said) else []

    return until(lines)


def started(folder):
    return [line.split()[2] for line in (folder / "log").read_text().splitlines() if " cell " in line]


def same_as_uninterrupted(folder):
    """Whether a run that was cut short and resumed holds what one in one go does."""
    code, _, stderr = finish(start(*options("straight")))
    assert code == 0, stderr
    cells = [path.relative_to(folder / "cut") for path in folder.glob("cut/cells/*/cell.json")]
    assert len(cells) == 4
    return all(
        (folder / "cut" / f).read_bytes() == (folder / "straight" / f).read_bytes() for f in [*TABLES, *cells]
    )


def test_a_run_ends_with_the_table_and_says_where_the_report_lies(photos):
    code, stdout, stderr = finish(start(*options("a")))
    assert code == 0, stderr
    assert "fine-tune" in stdout
    assert stdout.splitlines()[-1] == "report: a/report.html"
    assert (photos / "a" / "report.html").is_file()
    lines = stderr.splitlines()
    assert lines[0] == "weights: random"
    assert lines[1] == "a: 4 cells, 0 of them finished already; 10 steps each, roughly 10 seconds on a CPU"
    assert "keras fine-tune: epoch 2/2, fit loss" in stderr
    assert lines[-1].startswith("[4/4] ")


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are text there")
def test_names_whose_bytes_are_no_text_are_written_and_said_with_them_spelled_out(photos):
    (photos / "photos/dogs").rename(photos / "photos" / os.fsdecode(b"h\xfcnde"))
    (photos / "photos/cats/000.jpg").rename(photos / "photos/cats" / os.fsdecode(b"k\xe4tzchen.jpg"))
    out = os.fsdecode(b"l\xe4ufe")
    code, stdout, stderr = finish(start(*options(out)))
    assert code == 0, stderr
    assert stdout.splitlines()[-1] == "report: l\\udce4ufe/report.html"
    assert "h\\udcfcnde" in (photos / out / "report.html").read_text(encoding="utf-8")
    assert json.loads((photos / out / "config.json").read_text())["data"]["classes"][1] == "h\udcfcnde"


def test_the_configuration_says_what_was_run_on_what(photos):
    assert finish(start(*options("a")))[0] == 0
    config = json.loads((photos / "a" / "config.json").read_text())
    assert config["command"].startswith("compare run --backbone resnet50 --data photos")
    assert config["settings"]["data"] == str(photos / "photos")
    assert config["data"] == {
        "name": str(photos / "photos"),
        "classes": ["cats", "dogs"],
        "images": 20,
        "positives": 8,
        "sha256": config["data"]["sha256"],
    }
    assert len(config["data"]["sha256"]) == len(config["weights"]["sha256"]) == 64
    assert {"python", "keras", "tensorflow", "torch", "torchvision", "numpy"} < set(config["versions"])
    assert config["policies"] == ["frozen", "fine-tune"]
    assert set(config["machine"]) == {"platform", "cores", "threads"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(photos, number):
    process = start(*options("cut"), cells={"keras-fine-tune-native-seed0": "hang"})
    lines = wait_for_hang(photos)
    # a terminal tells all of them; a batch system or a container's end tells the first
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    code, stdout, stderr = finish(process)
    assert (code, stdout) == (130, "")
    assert "Traceback" not in stderr
    last = stderr.splitlines()[-1]
    assert last.startswith("stopped: 3 of 4 cells are finished; to go on: compare run --backbone resnet50")
    assert last.endswith("--out cut --jobs 2 --resume")
    assert_gone(lines)
    resume_and_compare(photos)


def test_kill_9_leaves_no_worker_and_nothing_that_counts(photos):
    process = start(*options("cut"), cells={"keras-fine-tune-native-seed0": "hang"})
    lines = wait_for_hang(photos)
    process.kill()
    process.communicate()
    assert_gone(lines)
    assert not (photos / "cut/cells/keras-fine-tune-native-seed0/cell.json").exists()
    resume_and_compare(photos)


def assert_gone(lines):
    assert left_running({int(pid) for pid, what, _ in lines if what == "load"}) == []


def resume_and_compare(folder):
    before = started(folder)
    code, stdout, stderr = finish(start(*options("cut", "--resume")))
    assert code == 0, stderr
    assert "cut: 4 cells, 3 of them finished already" in stderr
    assert "fine-tune" in stdout
    assert started(folder)[len(before) :] == ["keras-fine-tune-native-seed0"]
    assert same_as_uninterrupted(folder)


def test_a_worker_that_dies_is_exit_code_1_and_its_cell_is_resumed(photos):
    code, _, stderr = finish(start(*options("cut"), cells={"torch-frozen-native-seed0": "kill"}))
    assert code == 1
    status = "failed: the torch worker died (signal 9, killed: perhaps out of memory)"
    assert f"torch frozen: {status}" in stderr
    assert status in (photos / "cut" / "results.csv").read_text()
    assert finish(start(*options("cut", "--resume")))[0] == 0
    assert same_as_uninterrupted(photos)


def test_a_run_that_is_finished_runs_nothing_again(photos):
    assert finish(start(*options("cut")))[0] == 0
    before = started(photos)
    code, stdout, _ = finish(start(*options("cut", "--resume")))
    assert (code, stdout.splitlines()[-1]) == (0, "report: cut/report.html")
    assert started(photos) == before


def test_without_out_runs_are_numbered(photos):
    arguments = [argument for argument in options("x") if argument not in ("--out", "x")]
    for _ in range(2):
        assert finish(start(*arguments))[0] == 0
    assert sorted(os.listdir("runs")) == ["resnet50-1", "resnet50-2"]


def test_vgg16_says_why_it_trains_less(photos):
    arguments = [
        argument.replace("resnet50", "vgg16") for argument in options("a", "--policy", "bn-trainable")
    ]
    code, _, stderr = finish(start(*arguments))
    assert code == 0, stderr
    assert "vgg16 has no BN layers" in stderr
    assert "a: 4 cells" in stderr


def test_an_existing_run_needs_resume_and_the_same_settings(photos, capsys):
    assert finish(start(*options("a")))[0] == 0
    assert "a holds a run: --resume goes on with it, or give another --out" in refused(capsys, *options("a"))
    line = refused(capsys, *options("a", "--resume", "--epochs", "3", "--policy", "features"))
    assert "policies: was frozen, fine-tune, now frozen, features, fine-tune; epochs: was 2, now 3" in line


def test_a_full_disk_is_one_line_and_leaves_nothing(photos, capsys, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("compare.files.os.fsync", full)
    assert cli.main(options("a")) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "error: can't write a/weights.safetensors: No space left on device"
    assert os.listdir(photos) == ["photos"]


def test_a_disk_that_fills_up_in_a_cell_is_one_line_too(photos, capsys, monkeypatch):
    fake_cells.install(monkeypatch.setattr)
    monkeypatch.setenv("FAKE_CELLS", '{"keras-fine-tune-native-seed0": "full"}')
    assert cli.main(options("a")) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: No space left on device: a"


def test_a_run_as_json(photos):
    code, stdout, stderr = finish(start(*options("a", "--json")))
    assert code == 0, stderr
    found = json.loads(stdout)
    assert found["run"] == "a"
    rows = found["tables"][0]["rows"]
    assert [(row["policy"], row["framework"]) for row in rows] == [
        (policy, framework) for policy in ("frozen", "fine-tune") for framework in ("keras", "torch")
    ]
    assert stderr.splitlines()[-1] == "report: a/report.html"


def test_images_that_are_left_out_are_counted_and_named(photos):
    for number in range(12):
        (photos / "photos" / "cats" / f"broken-{number:02}.jpg").write_bytes(b"no image")
    code, _, stderr = finish(start(*options("a", "--skip-unreadable")))
    assert code == 0, stderr
    named = ", ".join(f"cats/broken-{number:02}.jpg" for number in range(10))
    line = f"--skip-unreadable left out 12 of 32 images: {named} and 2 more, which config.json names"
    assert stderr.splitlines()[0] == line
    config = json.loads((photos / "a" / "config.json").read_text())
    assert config["data"]["skipped"] == [f"cats/broken-{number:02}.jpg" for number in range(12)]
    assert config["data"]["images"] == 20
