"""What a port costs, in time and memory: `python -m benchmarks.cost_of_port`, and the same with `vgg16`.

At full width in both directions: keras.applications' `.keras` to a `.pth`, and torchvision's state dict to a `.keras`,
random weights. Exits with 1 where one takes longer than `MOST` says, or more memory: ResNet50's processes together,
VGG16's the largest of them. The memory is what Linux says (`Pss`: what processes share counts once), asked ten times a
second.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.full_width import WRITERS
from compare.frameworks import FRAMEWORKS
from compare.processes.worker import Worker

# seconds, GiB of all processes together, GiB of the largest
MOST = {"resnet50": (60.0, 3.0, 3.0), "vgg16": (120.0, float("inf"), 6.0)}
DIRECTIONS = {"keras": ("a.keras", "a.pth"), "torch": ("b.pth", "b.keras")}


def memory(parent: int) -> list[int]:
    """Bytes that a process and its children have in memory, each."""
    found = []
    # a process may end meanwhile
    with suppress(OSError):
        lines = Path(f"/proc/{parent}/smaps_rollup").read_text().splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")))
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += memory(int(child))
    return found


def port(source: Path, dest: Path) -> tuple[float, float, float, float]:
    """Port a file: the seconds that it took, those that processors worked, GiB together and of the largest process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    together = largest = 0
    process = subprocess.Popen(
        [sys.executable, "-m", "compare", "port", source, dest], stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        held = memory(process.pid)
        together, largest = max(together, sum(held)), max([largest, *held])
        time.sleep(0.1)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{source.name} -> {dest.name} ended with {process.returncode}")
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, worked, together / 2**30, largest / 2**30


def main(network: str = "resnet50") -> int:
    """Port in both directions, print a line for each, and return the exit code."""
    within, most = True, MOST[network]
    with TemporaryDirectory() as folder:
        for name, (source, dest) in DIRECTIONS.items():
            with Worker(FRAMEWORKS[name]) as worker:
                worker.call(WRITERS[name], Path(folder, source), network, 0)
            seconds, worked, together, largest = port(Path(folder, source), Path(folder, dest))
            within = within and seconds <= most[0] and together <= most[1] and largest <= most[2]
            print(
                f"{network} {source} -> {dest}: {seconds:.0f} s (at most {most[0]:g}), {worked:.0f} s of processor,"
                f" {together:.2f} GiB together (at most {most[1]:g}), {largest:.2f} in one (at most {most[2]:g})",
                flush=True,
            )
            Path(folder, dest).unlink()
    return int(not within)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
