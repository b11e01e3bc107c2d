"""Where cells run: local worker processes, one framework each, the longest cells first."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import compare.cells.serve
from compare.cells.store import Store
from compare.spec import POLICIES, Cell, Settings

MOST_JOBS = 4  # a Keras worker takes up to 2 GB
# What a cell takes, roughly (seconds, two cores, preset quick): only the order of starts follows from it.
COSTS = {
    "keras": {"all": 150, "bn": 115, "batch": 75, "moving": 12},
    "torch": {"all": 95, "bn": 60, "batch": 35, "moving": 2},
}
SPAWN = get_context("spawn")

OnEvent = Callable[[Cell, dict], None]


@dataclass(eq=False)
class _Worker:
    """A live process of one framework and the cell that it is at."""

    framework: str
    process: SpawnProcess
    connection: Connection
    cell: Cell = field(init=False)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """How many workers run at a time unless ``--jobs`` says otherwise."""
    return min(cores(), MOST_JOBS)


def threads() -> int:
    """Threads a worker: a matter of the machine alone, so that ``--jobs`` doesn't change the results."""
    return max(1, cores() // default_jobs())


def run_cells(store: Store, settings: Settings, jobs: int, on_event: OnEvent) -> None:
    """Run the cells that aren't finished. One that fails, or whose worker dies, doesn't stop the others.

    Args:
        store: the run; the cells' results are kept there.
        settings: what the cells share.
        jobs: at most this many workers at a time.
        on_event: is called with a cell and its ``start``, ``step``, ``epoch`` and ``end`` as they come.

    Raises:
        OSError: the disk is full.
        KeyboardInterrupt: Ctrl-C. The workers are stopped; the cells that ended are kept.
    """
    pool = _Pool(store, settings, on_event)
    try:
        while pool.waiting or pool.workers:
            while pool.waiting and len(pool.workers) < jobs:
                pool.start_worker()
            for connection in wait([worker.connection for worker in pool.workers]):
                pool.listen(next(worker for worker in pool.workers if worker.connection is connection))
    finally:
        for worker in list(pool.workers):
            pool.stop_worker(worker)


def cost(cell: Cell) -> int:
    """Estimate how long a cell takes, in the units of `COSTS`."""
    policy, costs = POLICIES[cell.policy], COSTS[cell.framework]
    if policy.trains.startswith("all"):
        return costs["all"]
    return costs["bn"] if policy.trains == "bn" else costs[policy.fit_statistics]


class _Pool:
    """The cells that wait, longest first, and the workers that are alive, each with a cell."""

    def __init__(self, store: Store, settings: Settings, on_event: OnEvent) -> None:
        self.store, self.settings, self.on_event = store, settings, on_event
        self.waiting = sorted(store.unfinished, key=cost, reverse=True)
        self.workers: list[_Worker] = []

    def start_worker(self) -> None:
        """Start a worker for the framework that has the most left to do for each worker it would have."""

        def load(framework: str) -> float:
            left = sum(cost(cell) for cell in self.waiting if cell.framework == framework)
            return left / (1 + sum(worker.framework == framework for worker in self.workers))

        framework = max(dict.fromkeys(cell.framework for cell in self.waiting), key=load)
        ours, theirs = SPAWN.Pipe()
        arguments = (theirs, compare.cells.serve.load, framework, threads())
        process = SPAWN.Process(target=compare.cells.serve.main, args=arguments, daemon=True)
        # glibc reads these when a process starts. Every thread of a population pass would keep memory of its own.
        os.environ.setdefault("MALLOC_ARENA_MAX", "1")
        os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # PyTorch trains a fifth faster
        with _deaf_to_ctrl_c():
            process.start()
        theirs.close()  # so that the worker's death ends the connection
        self.workers.append(_Worker(framework, process, ours))
        self.hand_out(self.workers[-1])

    def hand_out(self, worker: _Worker) -> None:
        """Give a worker the next cell of its framework, or let it go where there is none."""
        own = [cell for cell in self.waiting if cell.framework == worker.framework]
        if not own:
            self.stop_worker(worker)
            return
        worker.cell = own[0]
        self.waiting.remove(worker.cell)
        self.store.start(worker.cell)
        self.on_event(worker.cell, {"event": "start"})
        with suppress(OSError):  # it has died: the next thing heard from it is the end of its connection
            worker.connection.send((worker.cell, self.settings, self.store.path))

    def listen(self, worker: _Worker) -> None:
        """Take what a worker has to say: an event, its cell's end, or nothing more, for it is dead."""
        try:
            event = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(timeout=10)
            death = _death(worker.process.exitcode)
            self.stop_worker(worker)
            self.end_cell(worker.cell, {"error": death, "timing": {}})
            return
        if event["event"] != "end":
            self.on_event(worker.cell, event)
            return
        self.end_cell(worker.cell, event)
        self.hand_out(worker)

    def end_cell(self, cell: Cell, event: dict) -> None:
        """Keep the result of a cell, or why it has none.

        Raises:
            OSError: the disk is full, for which the cell is not to blame.
        """
        error = event["error"]
        if os.strerror(errno.ENOSPC) in error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.store.path))
        result = _failed(cell, error) if error else json.loads(event["result"])
        self.store.end(cell, result, event["timing"])
        self.on_event(cell, {"event": "end", "result": result})

    def stop_worker(self, worker: _Worker) -> None:
        """End a worker at once: what it wrote is whole, or of no use."""
        self.workers.remove(worker)
        worker.connection.close()
        worker.process.kill()
        worker.process.join()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Have processes start with SIGINT blocked; one that comes meanwhile reaches this process afterwards."""
    resource_tracker.ensure_running()  # else it starts with the first process, and unblocks SIGINT
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _death(exitcode: int | None) -> str:
    """Say how a process died."""
    if exitcode is None or exitcode >= 0:
        return f"the worker died (exit code {exitcode})"
    if -exitcode == signal.SIGKILL:
        return f"the worker died (signal {signal.SIGKILL.value}, killed: perhaps out of memory)"
    return f"the worker died (signal {-exitcode}, {signal.strsignal(-exitcode)})"


def _failed(cell: Cell, error: str) -> dict:
    """Make the result of a cell that has none of its own."""
    result = {
        "status": f"failed: {error}",
        "epochs": 0,
        "best_epoch": 0,
        "history": [],
        "fresh": {},
        "explanations": [],
    }
    return asdict(cell) | result
