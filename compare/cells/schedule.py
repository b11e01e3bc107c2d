"""Which cell runs next, and what becomes of it: the longest first, each in a worker of its framework."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from compare.cells.cell import run_cell
from compare.cells.courses import can_follow, course
from compare.cells.estimate import cost
from compare.cells.serve import Outcome, perform
from compare.cells.store import Store
from compare.cells.work import Task, Trained
from compare.frameworks import FRAMEWORKS
from compare.gap.events import Ended, Event, Retried, Started
from compare.gap.records import CellResult, Status
from compare.processes.environment import threads
from compare.processes.errors import WorkerDiedError, in_a_line
from compare.processes.local import Local, Transport
from compare.processes.serve import Answer
from compare.processes.worker import SAY
from compare.spec import Cell

OnEvent = Callable[[Cell, Event], None]


def run_cells(
    store: Store, task: Task, jobs: int, on_event: OnEvent, transport: Transport | None = None
) -> None:
    """Run the cells that aren't finished. One that fails, or whose worker dies, doesn't stop the others.

    Args:
        store: the run; the cells' results are kept there.
        task: what the cells share.
        jobs: at most this many workers at a time.
        on_event: is called with a cell and its events as they come.
        transport: where workers run; None takes this machine.

    Raises:
        OSError: the disk is full.
        KeyboardInterrupt: Ctrl-C. The workers are stopped; the cells that ended are kept.
    """
    transport = transport or Local(threads())
    try:
        schedule = _Schedule(store, task, on_event, transport)
        while schedule.waiting or schedule.at:
            while schedule.ready and len(schedule.at) < jobs:
                schedule.start_worker()
            for worker, answer in transport.events():
                schedule.listen(worker, answer)
    finally:
        transport.close()


class _Schedule:
    """The cells that wait, longest first, and the cell that each worker is at."""

    def __init__(self, store: Store, task: Task, on_event: OnEvent, transport: Transport) -> None:
        self.store, self.on_event, self.transport = store, on_event, transport
        self.task = transport.share(task)
        self.course = {cell: course(cell) for cell in store.unfinished}
        # the cells that can go by what another one's `fit` did, in the same worker
        self.following = {cell for cell in self.course if can_follow(cell, task.settings)}
        # of cells that one training serves, one that can't follow another comes first
        self.waiting = sorted(self.course, key=lambda cell: (-cost(cell), cell in self.following))
        self.at: dict[Any, Cell] = {}
        self.trained: dict[Any, set] = {}

    @property
    def ready(self) -> list[Cell]:
        """The cells that wait for a worker, but for those that will follow one that is training now."""
        under_way = {self.course[cell] for cell in self.at.values()}
        return [
            cell for cell in self.waiting if cell not in self.following or self.course[cell] not in under_way
        ]

    def start_worker(self) -> None:
        """Start a worker for the framework of the longest cell: what is short then fills the cores at the end."""
        framework = self.ready[0].framework
        self.hand_out(self.transport.start(FRAMEWORKS[framework]), framework)

    def hand_out(self, worker: Any, framework: str) -> None:
        """Give a worker the next cell of its framework, or let it go where there is none.

        One that can follow a training of this very worker goes first.
        """
        trained = self.trained.setdefault(worker, set())
        own = [cell for cell in self.ready if cell.framework == framework]
        follower = (cell for cell in own if cell in self.following and self.course[cell] in trained)
        cell = next(follower, next(iter(own), None))
        if cell is None:
            self.transport.stop(worker)
            return
        self.at[worker] = cell
        trained.add(self.course[cell])
        self.waiting.remove(cell)
        self.store.start(cell)
        self.on_event(cell, Started())
        self.transport.send(worker, perform, run_cell, cell, self.task, SAY)

    def listen(self, worker: Any, answer: Answer) -> None:
        """Take what a worker has to say: an event, its cell's end, or nothing more, for it is dead."""
        self.store.refresh()
        if answer.kind == "said":
            self.on_event(self.at[worker], answer.value)
            return
        if answer.kind == "retried":
            self.on_event(self.at[worker], Retried(in_a_line(answer.value)))
            return
        cell = self.at.pop(worker)
        if answer.kind == "returned":
            self.end_cell(cell, answer.value)
            self.hand_out(worker, cell.framework)
            return
        log = self.transport.printed(worker)
        self.transport.stop(worker)
        self.end_cell(cell, Outcome(answer.value, None, log))

    def end_cell(self, cell: Cell, outcome: Outcome) -> None:
        """Keep the result of a cell, or why it has none.

        Raises:
            OSError: the disk is full, for which the cell is not to blame.
        """
        came = outcome.came
        if isinstance(came, OSError) and came.errno == errno.ENOSPC:
            raise OSError(errno.ENOSPC, came.strerror, str(self.store.path))
        if isinstance(came, Exception):
            came = Trained(_failed(cell, came), None)
        self.store.end(cell, came.result, outcome.timing, came.checkpoint, outcome.log)
        self.on_event(cell, Ended(came.result))


def _failed(cell: Cell, error: Exception) -> CellResult:
    """Make the result of a cell that has none of its own."""
    status = Status.DIED if isinstance(error, WorkerDiedError) else Status.FAILED
    return CellResult(**asdict(cell), status=status, reason=in_a_line(error))
