"""What runs in a worker process: one framework, imported once, and one cell after another."""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from compare.spec import Cell, Settings

RunCell = Callable[[Cell, Settings, Path, Callable[[dict], None]], dict]
Load = Callable[[str, int], RunCell]


def main(connection: Connection, load: Load, framework: str, threads: int) -> None:
    """Run the cells that come down the connection, and send back their events, until it closes.

    A cell ends with ``{"event": "end", "result": JSON or None, "error": why there is none, ...}``.

    Args:
        connection: brings (cell, settings, run directory).
        load: imports the framework and returns the function that runs a cell.
        framework: ``keras`` or ``torch``.
        threads: how many a framework computes an operation with.
    """
    os.environ.update(environment(threads))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a killed process flushes nothing
    cells: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, cells), daemon=True).start()
    run_cell = None
    while True:
        cell, settings, run_dir = cells.get()
        _log_to(run_dir / "cells" / cell.name / "log.txt")
        start, clock = time.strftime("%Y-%m-%dT%H:%M:%S"), time.perf_counter()
        outcome: dict = {"event": "end", "result": None, "error": ""}
        try:
            run_cell = run_cell or load(framework, threads)
            outcome["result"] = json.dumps(run_cell(cell, settings, run_dir, connection.send))
        except Exception as error:
            traceback.print_exc()
            outcome["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        seconds = round(time.perf_counter() - clock, 2)
        memory = round(_peak_memory_mb())
        timing = {"worker": os.getpid(), "started": start, "seconds": seconds, "peak_memory_mb": memory}
        connection.send({**outcome, "timing": timing})


def environment(threads: int) -> dict[str, str]:
    """What must be in the environment before a framework is imported: threads, CPU only, few messages."""
    count = str(threads)
    return {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def load(framework: str, threads: int) -> RunCell:
    """Import a framework, make it compute the same bytes every time, and return ``compare.cells.cell.run_cell``."""
    if framework == "keras":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.experimental.enable_op_determinism()
    else:
        import torch

        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        # filling memory that is written to anyway costs time and changes nothing
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    from compare.cells.cell import run_cell

    return run_cell


def _receive(connection: Connection, cells: queue.SimpleQueue) -> None:
    """Pass on what comes; end the process when the parent closes the connection, or dies."""
    try:
        while True:
            cells.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


def _log_to(path: Path) -> None:
    """Send standard output and error, the frameworks' native messages too, to a file."""
    with path.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _peak_memory_mb() -> float:
    """The most that this process has had in memory so far (Linux counts in KiB, macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
