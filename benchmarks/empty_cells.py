"""What a cell costs that does nothing: the way to a worker and back, and the run directory.

    python -m benchmarks.empty_cells [CELLS] [local|ray]

Prints milliseconds a cell, over all cells and over the last tenth of them, and how much memory this process took
meanwhile. Starting Ray and the workers isn't counted.
"""

import resource
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from compare.cells import schedule, store
from compare.cells.grid import grid
from compare.cells.settings import Settings
from compare.cells.work import Start, Task, Trained
from compare.data import ImageData
from compare.gap.events import Ended
from compare.gap.records import CellResult, Epoch, Status
from compare.processes.engine import Engine, on_cluster, running
from compare.processes.local import Local
from compare.spec import POLICIES


def nothing(cell, task, report):
    """Stand in for `compare.cells.cell.run_cell`."""
    figures = {"loss": 1.0, "accuracy": 0.5}
    history = (Epoch(1, 1e-3, figures, figures, figures, 1),)
    return Trained(CellResult(**asdict(cell), status=Status.FINISHED, epochs=1, history=history), b"nothing")


def memory():
    """Bytes that this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def empty_task(folder):
    (folder / "weights").write_bytes(b"weights")
    (folder / "image").write_bytes(b"image")
    data = ImageData("none", folder, ("image",), ("a", "b"), np.zeros(1, np.uint8), None, None, "none")
    return Task(Settings(), Start(folder / "weights", "v1", 1.0, "caffe"), data)


def measure(count, transport, jobs, folder):
    """Run ``count`` cells, and return when each ended, from the first on, and what memory there was then."""
    seeds = -(-count // (2 * len(POLICIES)))
    cells = grid("resnet50", ("keras", "torch"), POLICIES, ("native",), seeds, 32).cells[:count]
    ends = []

    def on_event(cell, event):
        if isinstance(event, Ended):
            ends.append((time.perf_counter(), memory()))

    def prepare(path):
        path.write_bytes(b"weights")
        return {}

    with store.create(folder / "run", {"settings": {}}, cells, prepare) as opened:
        schedule.run_cells(opened, empty_task(folder), jobs, on_event, transport)
    return ends


def main(count, engine):
    schedule.run_cell = nothing
    with tempfile.TemporaryDirectory() as folder, running(Engine(engine, jobs=2), ()) as place:
        transport = on_cluster(1, {}, prepared=False) if engine == "ray" else Local(1, prepared=False)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        ends = measure(count, transport, place.jobs, Path(folder))
        used = resource.getrusage(resource.RUSAGE_SELF).ru_utime - used
    tenth = len(ends) // 10
    (began, before), (last, after) = ends[tenth - 1], ends[-1]
    late = (last - ends[-tenth][0]) / (tenth - 1)
    print(
        f"{engine}: {len(ends)} cells, {1000 * (last - began) / (len(ends) - tenth):.1f} ms a cell"
        f" (the last tenth {1000 * late:.1f}); of this process's own time {1000 * used / len(ends):.1f} ms a cell;"
        f" its memory {before / 2**20:.0f} MiB after a tenth of them, {after / 2**20:.0f} at the end"
    )


if __name__ == "__main__":
    from benchmarks.empty_cells import main  # of a module that a worker can import, which `__main__` isn't

    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2] if len(sys.argv) > 2 else "ray")
