"""What a port costs, in time and memory: `python -m benchmarks.cost_of_port`.

ResNet50 at full width in both directions: keras.applications' `.keras` to a `.pth`, and torchvision's state dict to a
`.keras`, random weights. Exits with 1 where one takes more than 60 s, or its processes more than 3 GiB together. The
memory is what Linux says (`Pss`: what processes share counts once), asked ten times a second.
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

MOST_SECONDS, MOST_GIB = 60.0, 3.0
DIRECTIONS = {"keras": ("a.keras", "a.pth"), "torch": ("b.pth", "b.keras")}


def memory(parent: int) -> int:
    """Bytes that a process and its children have in memory."""
    total = 0
    # a process may end meanwhile
    with suppress(OSError):
        lines = Path(f"/proc/{parent}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        for task in Path(f"/proc/{parent}/task").iterdir():
            total += sum(memory(int(child)) for child in (task / "children").read_text().split())
    return total


def port(source: Path, dest: Path) -> tuple[float, float, int]:
    """Port a file: the seconds that it took, those that processors worked, and its peak of memory."""
    before, began, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "compare", "port", source, dest], stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.1)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{source.name} -> {dest.name} ended with {process.returncode}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak


def main() -> int:
    """Port in both directions, print a line for each, and return the exit code."""
    within = True
    with TemporaryDirectory() as folder:
        for name, (source, dest) in DIRECTIONS.items():
            with Worker(FRAMEWORKS[name]) as worker:
                worker.call(WRITERS[name], Path(folder, source), "resnet50", 0)
            seconds, worked, peak = port(Path(folder, source), Path(folder, dest))
            within = within and seconds <= MOST_SECONDS and peak <= MOST_GIB * 2**30
            print(
                f"{source} -> {dest}: {seconds:.0f} s (at most {MOST_SECONDS:g}), {worked:.0f} s of processor,"
                f" {peak / 2**30:.2f} GiB together (at most {MOST_GIB:g})",
                flush=True,
            )
    return int(not within)


if __name__ == "__main__":
    sys.exit(main())
