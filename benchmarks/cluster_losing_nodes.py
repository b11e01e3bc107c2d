"""Kill a node of a Ray cluster in the middle of a run, again and again: what becomes of the cells?

    python -m benchmarks.cluster_losing_nodes [TIMES]

The nodes are processes of this machine; a small run of both frameworks is on two of them, and one is killed, each time
later. Prints for each time how many cells finished, how many began again, and whether the tables and the cells' files
are those of the local engine to the byte.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.ray_nodes import nodes

TABLES = ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv")
KEPT = ("cell.json", "best.safetensors")
SMALL = ["--images", "16", "--image-size", "32", "--batch-size", "8", "--epochs", "3"]
POLICIES = ["--policy", "frozen-drifting", "--policy", "frozen", "--policy", "features"]
ENOUGH = 600  # seconds that a run may take at most


def start(folder, *options):
    command = [sys.executable, "-m", "compare", "run", "--backbone", "resnet50", *POLICIES, *SMALL]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*command, "--jobs", "2", "--out", str(folder), *options], **pipes)


def kill_a_node(cluster, folder, finished):
    """Wait until so many cells are finished and another has begun, and kill a node's raylet, which ends the node."""
    for _ in range(ENOUGH * 10):
        begun, ended = (len(list(folder.glob(f"cells/{which}"))) for which in ("*", "*/cell.json"))
        if begun > ended >= finished:
            break
        time.sleep(0.1)
    node = cluster.list_all_nodes()[1 + finished % 2]  # the first has no CPUs, and runs nothing
    os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)


def same(one, other):
    """Whether two runs have the same tables, results and weights."""
    files = [*TABLES, *(path.relative_to(one) for path in one.glob("cells/*/*") if path.name in KEPT)]
    return len(files) == len(TABLES) + 12 and all(
        (one / f).read_bytes() == (other / f).read_bytes() for f in files
    )


def measure(times):
    """Return for each time: cells finished, cells that began again, the same bytes or not."""
    found = []
    with tempfile.TemporaryDirectory() as parent:
        local = Path(parent, "local")
        out, _ = start(local).communicate(timeout=ENOUGH)
        assert local.joinpath("results.csv").is_file(), out
        for number in range(times):
            folder = Path(parent, f"ray-{number}")
            with nodes(2) as cluster:
                process = start(folder, "--engine", "ray", "--ray-address", cluster.address)
                kill_a_node(cluster, folder, number)
                said, _ = process.communicate(timeout=ENOUGH)
            finished = (folder / "results.csv").read_text().count(",finished,")
            found.append((finished, said.count("begins again elsewhere"), same(local, folder)))
            print(f"{number + 1}: {finished} of 6 cells finished, {found[-1][1]} began again,", end=" ")
            print("the same bytes" if found[-1][2] else f"OTHER BYTES:\n{said[-3000:]}", flush=True)
    return found


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
