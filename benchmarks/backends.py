"""How long Keras trains on each of its backends that is installed, and whether to the same figures.

    python -m benchmarks.backends [REPEATS]

Each policy is trained by ``compare run``'s own cell, each backend in a process of its own, in turn, so that what else
the machine does meets all of them. Printed: the median seconds of a cell and its ratio to TensorFlow's, and how far the
losses of ``fit`` and ``evaluate`` are from TensorFlow's in matched numerics, where all draw the same dropout masks.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from compare.cells.cell import run_cell
from compare.cells.settings import Settings
from compare.cells.work import Start, Task, Trained
from compare.data import load
from compare.frameworks import FRAMEWORKS
from compare.processes.environment import threads
from compare.processes.worker import Worker
from compare.spec import Cell
from compare.weights.sources import resolve

POLICIES = ("frozen", "frozen-batch-stats", "fine-tune")
SETTINGS = Settings(images=220, image_size=96, epochs=3, explain="nothing")


def timed(cell: Cell, task: Task) -> tuple[Trained, float, float]:
    """Train a cell; called in its framework's process, and in one that has trained nothing."""
    before, clock = resource.getrusage(resource.RUSAGE_SELF).ru_utime, time.perf_counter()
    trained = run_cell(cell, task, lambda event: None)
    return trained, time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_SELF).ru_utime - before


def main(repeats: int = 3) -> None:
    """Print a line a policy and backend."""
    names = [name for name, own in FRAMEWORKS.items() if own.side == "keras" and not own.missing]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        resolve("pretext", "resnet50", path)
        task = Task(SETTINGS, Start.read(path), load("elpv"))
        print(
            f"{'policy':20} {'backend':20} {'s a cell':>9} {'ratio':>6} {'CPU s':>7} {'ratio':>6}  losses apart by"
        )
        for policy in POLICIES:
            seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
            losses: dict[str, list[float]] = {}
            for _ in range(repeats):
                for name in names:
                    with Worker(FRAMEWORKS[name], threads()) as worker:
                        cell = Cell(name, "resnet50", policy, "matched", 0)
                        trained, *took = worker.call(timed, cell, task)
                        seconds[name].append((took[0], took[1]))
                    history = trained.result.history
                    losses[name] = [
                        epoch.part(part)["loss"] for epoch in history for part in ("fit", "evaluate")
                    ]
            first = names[0]
            usual = [statistics.median(both[i] for both in seconds[first]) for i in (0, 1)]
            for name in names:
                wall, cpu = (statistics.median(both[i] for both in seconds[name]) for i in (0, 1))
                apart = max(abs(a - b) for a, b in zip(losses[name], losses[first], strict=True))
                print(
                    f"{policy:20} {FRAMEWORKS[name].label:20} {wall:9.1f} {wall / usual[0]:6.2f}"
                    f" {cpu:7.1f} {cpu / usual[1]:6.2f}  {apart:.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    from benchmarks import backends  # as a module that a worker can import, which `__main__` isn't

    backends.main(*map(int, sys.argv[1:2]))
