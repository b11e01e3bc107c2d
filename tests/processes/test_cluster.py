"""`compare run --engine ray`: the same run, wherever its cells are, and whatever dies under them."""

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks import cluster_losing_nodes
from tests.support.command_line import options, photos_in
from tests.support.processes import left_running, parent
from tests.support.ray_nodes import STORE, nodes
from tests.support.waiting import LONG, until

pytest.importorskip("ray", reason="Ray isn't installed: pip install 'compare-bn[ray]'")

ROOT = Path(__file__).parents[2]
TABLES = ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv")
CELL = "keras-fine-tune-native-seed0"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with images, in which the environment of fake cells is set and the local engine has run."""
    folder = tmp_path_factory.mktemp("cluster")
    photos_in(folder)
    (folder / "temporary").mkdir()
    environment = {
        "PYTHONPATH": str(ROOT),
        "FAKE_CELLS": str(folder / "asked"),
        "FAKE_CELLS_LOG": str(folder / "log"),
        "TMPDIR": str(folder / "temporary"),
        "RAY_AUTH_MODE": "disabled",  # Ray's own token would be left in the home of who runs the tests
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        ask(folder)
        code, _, stderr = finish(start(folder, *options("local")))
        assert code == 0, stderr
        yield folder


@pytest.fixture(scope="module")
def cluster(home):
    with nodes(2, gpus=2) as found:  # that nobody computes on
        yield found


def ask(folder, **cells):
    """Say which cells misbehave from now on, and how."""
    (folder / "asked").write_text(json.dumps(cells))
    (folder / "log").write_text("")


def start(folder, *arguments):
    """Start the command with fake cells, in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.fake_cells", *arguments],
        cwd=folder,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    stdout, stderr = process.communicate(timeout=LONG)
    return process.returncode, stdout, stderr


def on_ray(cluster, out, *more):
    return options(out, "--engine", "ray", "--ray-address", cluster.address, *more)


def same_as_local(folder, out):
    kept = [path.relative_to(folder / "local") for path in folder.glob("local/cells/*/*.json")]
    files = [*TABLES, *(file for file in kept if file.name != "timing.json")]
    files += [file.with_name("best.safetensors") for file in files[len(TABLES) :]]
    assert len(files) == len(TABLES) + 8
    return all((folder / "local" / f).read_bytes() == (folder / out / f).read_bytes() for f in files)


def unpacked(folder):
    """What runs have left in the nodes' temporary folder."""
    return set((folder / "temporary").glob("compare-cells-*/*"))


def hanging(folder):
    """Wait until a cell hangs; return its process."""

    def hung():
        lines = [line.split() for line in (folder / "log").read_text().splitlines()]
        return [int(line[0]) for line in lines if line[1] == "hang"]

    return until(hung)[0]


def test_a_run_on_two_nodes_is_the_local_one_byte_for_byte(home, cluster):
    ask(home)
    before = unpacked(home)  # a node that was killed has left some, which its workers hold until they end
    code, stdout, stderr = finish(start(home, *on_ray(cluster, "two")))
    assert code == 0, stderr
    assert "Ray: 3 nodes with 2 CPUs, 2 cells at a time" in stderr
    assert "report: two/report.html" in stdout
    assert "keras fine-tune: epoch 2/2" in stderr
    assert same_as_local(home, "two")
    assert f"printed by {CELL} on card -1" in (home / "two/cells" / CELL / "log.txt").read_text()
    assert "of their 4 GPUs none: --device cuda takes them" in stderr
    assert len(list((home / "temporary").glob("compare-cells-*"))) == 1
    assert unpacked(home) <= before


def test_on_cards_each_worker_sees_the_one_that_ray_gives_it(home, cluster):
    ask(home)
    code, _, stderr = finish(start(home, *on_ray(cluster, "cards", "--device", "cuda")))
    assert code == 0, stderr
    logs = [path.read_text() for path in home.glob("cards/cells/*/log.txt")]
    assert len(logs) == 4
    assert {log.rpartition(" on card ")[2].strip() for log in logs} <= {"0", "1"}
    assert json.loads((home / "cards/config.json").read_text())["devices"] == {
        "keras": "cuda",
        "torch": "cuda",
    }
    assert same_as_local(home, "cards")


def test_a_worker_that_dies_costs_its_cell_a_second_try_and_nothing_else(home, cluster):
    ask(home, **{CELL: "kill once"})
    code, _, stderr = finish(start(home, *on_ray(cluster, "once")))
    assert code == 0, stderr
    died = "keras fine-tune: the keras worker died (signal 9, killed: perhaps out of memory)"
    assert stderr.count(f"{died}; it begins again elsewhere") == 1
    assert same_as_local(home, "once")


def test_a_cell_whose_workers_keep_dying_is_tried_three_times_and_the_others_are_there(home, cluster):
    ask(home, **{CELL: "kill"})
    code, _, stderr = finish(start(home, *on_ray(cluster, "thrice")))
    assert code == 1, stderr
    assert stderr.count("it begins again elsewhere") == 2
    assert (home / "log").read_text().count(f"cell {CELL}") == 3
    rows = (home / "thrice/results.csv").read_text()
    assert rows.count("finished") == 3
    assert rows.count("failed: the keras worker died (signal 9, killed: perhaps out of memory), 3 times") == 1
    assert "printed by" in (home / "thrice/cells" / CELL / "log.txt").read_text()


def test_ctrl_c_ends_everything_and_resume_goes_on_elsewhere(home, cluster):
    ask(home, **{CELL: "hang"})
    process = start(home, *on_ray(cluster, "cut"))
    worker = hanging(home)
    until(lambda: len(list(home.glob("cut/cells/*/cell.json"))) == 3)
    os.killpg(process.pid, signal.SIGINT)
    code, _, stderr = finish(process)
    assert code == 130
    assert "stopped: 3 of 4 cells are finished; to go on: compare run" in stderr
    assert "Traceback" not in stderr
    assert left_running([worker]) == []
    ask(home)
    code, _, stderr = finish(start(home, *options("cut", "--resume")))  # on the local engine
    assert code == 0, stderr
    assert (home / "log").read_text().count(" cell ") == 1
    assert same_as_local(home, "cut")


def test_a_full_disk_is_one_line(home, cluster):
    ask(home, **{CELL: "full"})
    code, _, stderr = finish(start(home, *on_ray(cluster, "full")))
    assert (code, stderr.splitlines()[-1]) == (2, "error: No space left on device: full")


def test_a_node_with_another_version_is_named_and_nothing_is_written(home, cluster, tmp_path):
    other = tmp_path / "torch-9.9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")
    there = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE, include_dashboard=False, env_vars=there)
    try:
        code, _, stderr = finish(start(home, *on_ray(cluster, "differs")))
    finally:
        cluster.remove_node(node)
    (line,) = stderr.splitlines()
    assert (code, line.count(" instead of ")) == (2, 1)
    assert line.startswith("error: --engine ray: all nodes need what this machine has: ")
    assert " has torch 9.9.9 instead of torch " in line
    assert not (home / "differs").exists()


def test_a_node_that_is_killed_costs_the_cell_that_was_on_it(home, cluster):
    cluster.add_node(num_cpus=1, num_gpus=2, object_store_memory=STORE, include_dashboard=False)
    ask(home, **{CELL: "hang once"})
    process = start(home, *on_ray(cluster, "node"))
    raylet = parent(parent(hanging(home)))
    assert "raylet" in Path(f"/proc/{raylet}/cmdline").read_text()
    os.kill(raylet, signal.SIGKILL)
    code, stdout, stderr = finish(process)
    assert code == 0, stderr
    assert stderr.count("it begins again elsewhere") in (1, 2)
    assert "raylet" not in stdout + stderr
    assert same_as_local(home, "node")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_an_address_ray_is_started_here_and_nothing_is_left_of_it(home, number):
    ask(home, **{CELL: "hang"})
    process = start(home, *options(f"here-{number}", "--engine", "ray"))
    hanging(home)
    started = _processes_of(process.pid)
    (server,) = (command for command in started.values() if "gcs_server" in command)
    (folder,) = set(re.findall("/tmp/compare-ray-[^/ ]+", server))
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    code, _, stderr = finish(process)
    assert code == 130, stderr
    assert "to go on: compare run" in stderr
    assert left_running([*started, *_processes_of(process.pid)]) == []
    assert not Path(folder).exists()


def _processes_of(session):
    """A session's processes: the command of each by its number."""
    found = subprocess.run(
        ["ps", "-ww", "-s", str(session), "-o", "pid=,args="], capture_output=True, text=True
    )
    return dict(line.split(maxsplit=1) for line in found.stdout.splitlines())


@pytest.mark.slow
def test_five_times_a_node_is_killed_and_every_cell_is_there():
    found = cluster_losing_nodes.measure(5)
    assert [(finished, same) for finished, _, same in found] == [(6, True)] * 5
    assert sum(again for _, again, _ in found) >= 3
