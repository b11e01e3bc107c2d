"""What a worker does with a cell: run it, and bring back all that came of it."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from compare.cells.work import Task, Timing, Trained
from compare.gap.events import Event
from compare.processes.environment import peak_memory
from compare.processes.errors import portable
from compare.spec import Cell

Say = Callable[[Event], None]
RunCell = Callable[[Cell, Task, Say], Trained]


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Attributes:
        came: what it is, or the error that ended it.
        timing: None where the process died.
        log: what the cell printed.
    """

    came: Trained | Exception
    timing: Timing | None
    log: bytes


def perform(run_cell: RunCell, cell: Cell, task: Task, say: Say) -> Outcome:
    """Run a cell in this process, whose framework is ready.

    Args:
        say: is called with the cell's events.
    """
    start, clock = time.strftime("%Y-%m-%dT%H:%M:%S"), time.perf_counter()
    os.ftruncate(1, 0)  # standard output and error are one file, the worker's: each cell begins it anew
    os.lseek(1, 0, os.SEEK_SET)
    came: Trained | Exception
    try:
        came = run_cell(cell, task, say)
    except Exception as error:
        traceback.print_exc()
        came = portable(error)
    seconds = round(time.perf_counter() - clock, 2)
    timing = Timing(os.getpid(), start, seconds, round(peak_memory() / 2**20))
    return Outcome(came, timing, os.pread(1, os.fstat(1).st_size, 0))
