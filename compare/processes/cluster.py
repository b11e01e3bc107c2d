"""Tasks on a cluster: Ray decides where each worker runs; what dies there costs its task's time and nothing else."""

from __future__ import annotations

import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

import ray
from ray.exceptions import OutOfDiskError, OutOfMemoryError, RayError, RayTaskError

from compare.frameworks import Framework
from compare.processes.devices import Devices
from compare.processes.errors import WorkerDiedError, portable
from compare.processes.nodes import differing, disk_full, versions
from compare.processes.parcels import Folder, Movable, Shared, packed
from compare.processes.serve import Answer, Kept
from compare.processes.worker import Worker

RETRIES = 2  # times that a task whose worker died begins again
SILENCE = 1.0  # seconds after which a place passes on what there is, if anything: it can then be told to end
FAREWELL = 5.0  # seconds that places have to take away what they have unpacked


@dataclass(frozen=True)
class Heard:
    """What a worker has said since it was last asked, and, where it died, what it had printed."""

    answers: list[Answer]
    printed: bytes = b""


class Place:
    """An actor of Ray's, with a worker beside it. It passes on what is said, and imports no framework itself.

    Args:
        framework, threads, dtype, prepared, device: of its `Worker`; Ray shows it the card that it may take.
        expected: the versions that this node must have.
    """

    def __init__(
        self,
        framework: Framework,
        threads: int,
        dtype: str | None,
        prepared: bool,
        expected: Mapping[str, str],
        device: str,
    ) -> None:
        self.expected, self.checked = expected, False
        self.worker = Worker(framework, threads, dtype, prepared, device=device)
        self.folders: dict[str, Folder] = {}
        self.kept: dict[str, Kept] = {}

    def send(self, function: Callable, arguments: tuple) -> Heard:
        """Have the worker call a function; return the first that it says."""
        try:
            if not self.checked:  # a node may have come after all were asked
                differing([(socket.gethostname(), versions(self.expected))], self.expected)
                self.checked = True
            self.worker.send(function, *map(self._real, arguments))
        except WorkerDiedError as error:
            return self._heard([Answer("died", error)])
        except Exception as error:
            return Heard([Answer("raised", portable(error))])
        return self.next()

    def next(self) -> Heard:
        """Wait for what ends the worker's task, or take what it says within `SILENCE`.

        A call a step would cost more than the step's progress is worth.
        """
        answers: list[Answer] = []
        until = time.monotonic() + SILENCE
        while wait([self.worker.connection], max(0.0, until - time.monotonic())):
            answers.append(self.worker.next())
            if answers[-1].kind != "said":
                break
        return self._heard(answers)

    def end(self) -> None:
        """End the worker, and take away what was unpacked for it."""
        self.worker.stop()
        for folder in self.folders.values():
            folder.close()
        ray.actor.exit_actor()

    def _heard(self, answers: list[Answer]) -> Heard:
        died = bool(answers) and answers[-1].kind == "died"
        return Heard(answers, self.worker.printed() if died else b"")

    def _real(self, argument: Any) -> Any:
        """Put a shared value, with its files on this node, in the place of what stands for it."""
        if not isinstance(argument, Shared):
            return argument
        if argument.run not in self.kept:
            folder = self.folders[argument.run] = _unpacked(argument)
            value = ray.get(argument.value).moved(folder.path)
            self.kept[argument.run] = self.worker.keep(itself, value)
        return self.kept[argument.run]


def _unpacked(shared: Shared) -> Folder:
    """Unpack the files of a shared value on this node.

    Raises:
        OSError: its disk is full; the words name the node, which is another machine than the one that shows them.
    """
    try:
        return Folder(shared.run, lambda: map(ray.get, shared.pieces))
    except OSError as error:
        node = f"{tempfile.gettempdir()} of {socket.gethostname()}"
        raise OSError(error.errno, f"{error.strerror} in {node}") from error


def itself(value: Any) -> Any:
    """Return a value: what a worker is told to keep."""
    return value


@dataclass(eq=False)
class Remote:
    """A worker on the cluster.

    Attributes:
        actor: Ray's handle of its `Place`.
        call: its task, a function and arguments; to be made again where the worker dies.
        heard: a reference to what it says next; None where it has no task.
        deaths: of workers at this task.
        printed: by a worker that died.
    """

    framework: Framework
    actor: Any
    call: tuple[Callable, tuple] | None = None
    heard: Any = None
    deaths: int = 0
    printed: bytes = b""


@dataclass
class Cluster:
    """Worker processes on the nodes of the Ray cluster that this process has joined (`Transport`).

    Attributes:
        threads, dtype, prepared: of each `Worker`; it takes as many CPUs as threads.
        expected: the versions that nodes must have.
        devices: what each framework computes on; a place on a CUDA card takes one of Ray's GPUs.
    """

    threads: int
    dtype: str | None = None
    prepared: bool = True
    expected: Mapping[str, str] = field(default_factory=dict)
    devices: Devices = field(default_factory=Devices)
    workers: list[Remote] = field(default_factory=list)
    leaving: list[Any] = field(default_factory=list)

    def start(self, framework: Framework) -> Remote:
        """Have Ray find a place for a worker; its task waits there until there is one."""
        self.workers.append(Remote(framework, self._place(framework)))
        return self.workers[-1]

    def share(self, value: Movable) -> Shared:
        """Put a value and its files into the object store, once for all nodes.

        Raises:
            OSError: a file can't be read, or the disk that the store spills to is full.
        """
        try:
            return Shared(uuid.uuid4().hex, ray.put(value), [ray.put(some) for some in packed(value.files)])
        except OutOfDiskError as error:
            raise disk_full() from error

    def send(self, worker: Remote, function: Callable, *arguments: Any) -> None:
        """Have a worker call a function."""
        worker.call, worker.deaths, worker.printed = (function, arguments), 0, b""
        self._begin(worker)

    def events(self) -> Iterator[tuple[Remote, Answer]]:
        """Wait for the next things that one worker says."""
        at = {worker.heard: worker for worker in self.workers if worker.heard is not None}
        (ready, *_), _ = ray.wait(list(at), num_returns=1)
        worker = at[ready]
        self.workers.remove(worker)
        self.workers.append(worker)  # whoever has been heard waits for the others
        for answer in self._answers(worker):
            if worker in self.workers:  # whoever took the event before this one may have stopped it
                yield worker, answer

    def printed(self, worker: Remote) -> bytes:
        """What a worker that died has printed, where its node still stands."""
        return worker.printed

    def stop(self, worker: Remote) -> None:
        """End a worker, and don't wait for it."""
        self.workers.remove(worker)
        self._leave(worker)

    def close(self) -> None:
        """End all workers."""
        for worker in list(self.workers):
            self.stop(worker)
        going = [end for end, _ in self.leaving]
        if going:
            ray.wait(going, num_returns=len(going), timeout=FAREWELL)
        for _, actor in self.leaving:
            ray.kill(actor)
        self.leaving.clear()

    def _place(self, framework: Framework) -> Any:
        device = self.devices.pinned(framework.name, ())
        options = {"num_cpus": self.threads, "scheduling_strategy": "SPREAD"}
        place = ray.remote(Place).options(**options, num_gpus=int(device == "cuda"))
        return place.remote(framework, self.threads, self.dtype, self.prepared, self.expected, device)

    def _begin(self, worker: Remote) -> None:
        if worker.call is not None:
            worker.heard = worker.actor.send.remote(*worker.call)

    def _leave(self, worker: Remote) -> None:
        self.leaving.append((worker.actor.end.remote(), worker.actor))

    def _answers(self, worker: Remote) -> list[Answer]:
        """Take what a worker has said; where it died, have another begin its task again."""
        try:
            heard: Heard = ray.get(worker.heard)
        except OutOfDiskError:
            return self._last(worker, Answer("raised", disk_full()))
        except RayTaskError as error:  # not the worker's doing: the place itself failed
            return self._last(worker, Answer("raised", portable(error)))
        except RayError as error:
            heard = Heard([Answer("died", _death(worker.framework, error))])
        if heard.answers and heard.answers[-1].kind == "died":
            return [*heard.answers[:-1], self._died(worker, heard)]
        if heard.answers and heard.answers[-1].kind != "said":
            worker.heard = None
        else:
            worker.heard = worker.actor.next.remote()
        return heard.answers

    def _last(self, worker: Remote, answer: Answer) -> list[Answer]:
        worker.heard = None
        return [answer]

    def _died(self, worker: Remote, heard: Heard) -> Answer:
        """Begin a dead worker's task again in another, unless it has been tried `RETRIES` times."""
        error = heard.answers[-1].value
        if worker.deaths == RETRIES:
            worker.heard, worker.printed = None, heard.printed
            return Answer("died", WorkerDiedError(f"{error}, {RETRIES + 1} times"))
        worker.deaths += 1
        self._leave(worker)
        worker.actor = self._place(worker.framework)
        self._begin(worker)
        return Answer("retried", error)


def _death(framework: Framework, error: RayError) -> WorkerDiedError:
    """Say that Ray has lost a worker."""
    why = (
        "its node was out of memory"
        if isinstance(error, OutOfMemoryError)
        else "its process or its node ended"
    )
    died = WorkerDiedError(f"the {framework.name} worker died ({why})")
    died.add_note(str(error))
    return died
