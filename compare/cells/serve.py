"""What a worker does with a cell: run it, and bring back all that came of it."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compare.processes.environment import peak_memory
from compare.processes.errors import portable
from compare.spec import Cell, Settings

RunCell = Callable[[Cell, Settings, Path, Callable[[dict], None]], dict]


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Attributes:
        result: JSON; empty where an error ended the cell.
        error: that error.
        timing: which process, when it started, seconds, and the most memory it has had (MiB).
        log: what the cell printed.
    """

    result: str
    error: Exception | None
    timing: dict
    log: bytes


def perform(
    run_cell: RunCell, cell: Cell, settings: Settings, run_dir: Path, say: Callable[[dict], None]
) -> Outcome:
    """Run a cell in this process, whose framework is ready.

    Args:
        say: is called with the cell's events.
    """
    start, clock = time.strftime("%Y-%m-%dT%H:%M:%S"), time.perf_counter()
    os.ftruncate(1, 0)  # standard output and error are one file, the worker's: each cell begins it anew
    os.lseek(1, 0, os.SEEK_SET)
    result, failed = "", None
    try:
        result = json.dumps(run_cell(cell, settings, run_dir, say))
    except Exception as error:
        traceback.print_exc()
        failed = portable(error)
    timing = {
        "worker": os.getpid(),
        "started": start,
        "seconds": round(time.perf_counter() - clock, 2),
        "peak_memory_mb": round(peak_memory() / 2**20),
    }
    return Outcome(result, failed, timing, os.pread(1, os.fstat(1).st_size, 0))
