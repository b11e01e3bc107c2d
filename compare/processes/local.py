"""Tasks on this machine: worker processes, each of one framework and at one task at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

from compare.frameworks import Framework
from compare.processes.devices import Devices
from compare.processes.parcels import Movable
from compare.processes.serve import Answer
from compare.processes.worker import Worker

W = TypeVar("W")


class Transport(Protocol[W]):
    """Where tasks run. What it calls a worker is its own affair; a worker is sent a task when it has none."""

    def start(self, framework: Framework) -> W:
        """Start a worker."""

    def share(self, value: Movable) -> Any:
        """Return what stands for a value in the arguments of all tasks that are given it."""

    def send(self, worker: W, function: Callable, *arguments: Any) -> None:
        """Give a worker a task: a function of a module, called there."""

    def events(self) -> Iterator[tuple[W, Answer]]:
        """Wait until at least one worker has something to say, and give what there is."""

    def printed(self, worker: W) -> bytes:
        """What a worker has printed, dead or alive."""

    def stop(self, worker: W) -> None:
        """End a worker at once."""

    def close(self) -> None:
        """End all."""


class Local:
    """Worker processes on this machine (`Transport`).

    Args:
        threads, dtype, prepared: of each `Worker`.
        devices: which device a worker gets; None gives them the CPU.
    """

    def __init__(
        self,
        threads: int,
        dtype: str | None = None,
        prepared: bool = True,
        devices: Devices | None = None,
    ) -> None:
        self.threads, self.dtype, self.prepared = threads, dtype, prepared
        self.devices = devices or Devices()
        self.workers: list[Worker] = []

    def start(self, framework: Framework) -> Worker:
        """Start a process."""
        device = self.devices.pinned(framework.name, [worker.device for worker in self.workers])
        worker = Worker(framework, self.threads, self.dtype, self.prepared, device=device)
        self.workers.append(worker)
        return self.workers[-1]

    def share(self, value: Movable) -> Any:
        """Return the value itself: workers here read its files where they are."""
        return value

    def send(self, worker: Worker, function: Callable, *arguments: Any) -> None:
        """Have it call a function."""
        worker.send(function, *arguments)

    def events(self) -> Iterator[tuple[Worker, Answer]]:
        """Wait for the next things that are said."""
        ready = wait([worker.connection for worker in self.workers])
        for worker in list(self.workers):
            # whoever took the event before this one may have stopped it
            if worker.connection in ready and worker in self.workers:
                yield worker, worker.next()

    def printed(self, worker: Worker) -> bytes:
        """What a process has printed."""
        return worker.printed()

    def stop(self, worker: Worker) -> None:
        """End a process."""
        self.workers.remove(worker)
        worker.stop()

    def close(self) -> None:
        """End all processes."""
        for worker in list(self.workers):
            self.stop(worker)
