import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from compare.cli import app as cli
from compare.spec import POLICIES
from tests.support import fake_cells
from tests.support.image_files import two_classes

ROOT = Path(__file__).parents[2]
TABLES = ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A small folder of images, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    two_classes(tmp_path / "photos")
    return tmp_path


def options(out, *more):
    small = [
        "--data",
        "photos",
        "--weights",
        "random",
        "--batch-size",
        "4",
        "--image-size",
        "32",
        "--epochs",
        "2",
    ]
    policies = ["--policy", "frozen", "--policy", "fine-tune"]
    return ["run", "--backbone", "resnet50", *small, *policies, "--out", out, "--jobs", "2", *more]


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
    stdout, stderr = process.communicate(timeout=300)
    return process.returncode, stdout, stderr


def wait_for_hang(folder):
    """Wait until three of the four cells are finished and the last hangs; return the log's lines."""
    for _ in range(600):
        lines = (
            [line.split() for line in (folder / "log").read_text().splitlines()]
            if (folder / "log").exists()
            else []
        )
        if len(list(folder.glob("cut/cells/*/cell.json"))) == 3 and any(line[1] == "hang" for line in lines):
            return lines
        time.sleep(0.05)
    raise TimeoutError(lines)


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


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(photos):
    process = start(*options("cut"), cells={"keras-fine-tune-native-seed0": "hang"})
    lines = wait_for_hang(photos)
    os.killpg(process.pid, signal.SIGINT)
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
    workers = {int(pid) for pid, what, _ in lines if what == "load"}
    for _ in range(100):
        alive = [pid for pid in workers if is_running(pid)]
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError(alive)


def is_running(pid):
    """Whether a process is there and not a zombie that waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


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


def refused(capsys, *arguments):
    """The one line that a command ends with which can't be run."""
    assert cli.main(list(arguments)) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.startswith("error: ")
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1
    return stderr


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


def test_an_existing_run_needs_resume_and_the_same_settings(photos, capsys):
    assert finish(start(*options("a")))[0] == 0
    assert "a holds a run: --resume goes on with it, or give another --out" in refused(capsys, *options("a"))
    line = refused(capsys, *options("a", "--resume", "--epochs", "3", "--policy", "features"))
    assert "policies: was frozen, fine-tune, now frozen, features, fine-tune; epochs: was 2, now 3" in line


def test_a_full_disk_is_one_line_and_leaves_nothing(photos, capsys, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a/config.json")

    monkeypatch.setattr("compare.files.os.fsync", full)
    assert cli.main(options("a")) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: No space left on device: a/config.json"
    assert os.listdir(photos) == ["photos"]


def test_a_disk_that_fills_up_in_a_cell_is_one_line_too(photos, capsys, monkeypatch):
    fake_cells.install(monkeypatch.setattr)
    monkeypatch.setenv("FAKE_CELLS", '{"keras-fine-tune-native-seed0": "full"}')
    assert cli.main(options("a")) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: No space left on device: a"


@pytest.mark.parametrize("command", [[], ["run"], ["policies"], ["report"]])
def test_help_has_examples_and_imports_nothing_heavy(command):
    script = """
import sys
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
    monkeypatch.setattr("compare.parity.certificate.read", lambda path: {})
    monkeypatch.setattr("compare.parity.certificate.check_of", lambda old: (None, ()))
    monkeypatch.setattr("compare.parity.certificate.as_json", lambda result: {"policies": {}})
    monkeypatch.setattr("compare.parity.certificate.differences", lambda old, new: lines)
    monkeypatch.setattr("compare.cli.parity._with_progress", lambda *check: None)
    assert cli.main(["parity", "--check", "certificate.json", "--json"]) == len(lines)
    found = json.loads(capsys.readouterr().out)
    assert found == {"reproduced": not lines, "differences": lines, "certificate": {"policies": {}}}
