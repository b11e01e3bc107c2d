"""A process of one framework that calls functions there: the only way to a framework.

    with Worker(FRAMEWORKS["torch"]) as worker:
        arrays = worker.call(read, path)

The function is one of a module, sent by reference; arguments and what it returns are pickled. Errors keep their type.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from compare.frameworks import Framework
from compare.processes.environment import cores, environment
from compare.processes.errors import WorkerDiedError, death
from compare.processes.serve import Answer, Call, Kept, Say, Start

__all__ = ["SAY", "Kept", "Worker", "WorkerDiedError"]

SAY = Say()  # as an argument of a call: a function there that says something in between
TAIL = 2000  # bytes of a dead process's last words
# `sys.path` first, so that whatever this process can import, the other can
PROGRAM = (
    "import sys; from multiprocessing.connection import Connection; c = Connection(int(sys.argv[1]));"
    " sys.path[:] = c.recv(); from compare.processes.serve import main; main(c)"
)


class Worker:
    """The other end: a process with one framework, imported once, that does one thing at a time.

    A context manager, which ends it. It ends by itself when this process does; Ctrl-C reaches this process alone.

    Args:
        framework: whose process it is.
        threads: how many it computes an operation with; None takes the machine's cores.
        dtype: what it computes in; None leaves the framework's own. `Framework.set_dtype` changes it there.
        prepared: have it import the framework, and make it deterministic, ahead of the first call. Not needed to
            read files.
        patience: seconds that it may take to say the next thing; None waits for ever.
        device: what it computes on, see `Framework.environment`.
    """

    def __init__(
        self,
        framework: Framework,
        threads: int | None = None,
        dtype: str | None = None,
        prepared: bool = True,
        patience: float | None = None,
        device: str = "cpu",
    ) -> None:
        self.framework, self.patience, self.device = framework, patience, device
        threads = threads or cores()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  # what it prints; closed by `stop`
        self.connection, theirs = Pipe()
        self.process = _start(theirs, environment(framework, threads, device), self.log.fileno())
        with suppress(OSError):  # it has died: `next` will say so
            self.connection.send(sys.path)
            self.connection.send(Start(framework, threads, dtype, prepared))

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, function: Callable, *arguments: Any) -> Any:
        """Call a function there and return what it returns.

        Raises:
            Exception: what the function raised, of the same type where that is Python's or this package's own,
                `WorkerError` where it is a framework's.
            WorkerDiedError: the process died.
            TimeoutError: it took longer than ``patience``; the process is ended.
        """
        self.send(function, *arguments)
        return self.receive()

    def keep(self, function: Callable, *arguments: Any) -> Kept:
        """Call a function and leave what it returns there; what this returns stands for it in later calls."""
        self._send(Call(function, arguments, keep=True))
        return self.receive()

    def send(self, function: Callable, *arguments: Any) -> None:
        """Have a function called and don't wait, so that two workers work side by side; then `receive`."""
        self._send(Call(function, arguments))

    def receive(self, said: Callable[[Any], None] = lambda value: None) -> Any:
        """Wait for what the last call returned; errors are as `call`'s.

        Args:
            said: is called with what the function says in between, by the argument `SAY`.
        """
        while (answer := self.next()).kind == "said":
            said(answer.value)
        if answer.kind == "returned":
            return answer.value
        raise answer.value

    def next(self) -> Answer:
        """Wait for the next thing that it has to say, be it that it died."""
        try:
            if not self.connection.poll(self.patience):
                self.process.kill()
                return Answer("died", TimeoutError(f"no answer within {self.patience:g} s"))
            return self.connection.recv()
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        last = self.printed()[-TAIL:].decode(errors="replace")
        died = WorkerDiedError(f"the {self.framework.name} worker {death(self.process.poll())}")
        if last:
            died.add_note(f"its last words:\n{last}")
        return Answer("died", died)

    def printed(self) -> bytes:
        """What it has printed, frameworks' native messages too."""
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0)

    def stop(self) -> None:
        """End the process at once."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.log.close()

    def _send(self, call: Call) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: `next` will say so
            self.connection.send(call)


def _start(theirs: Connection, environment: dict[str, str], log: int) -> subprocess.Popen:
    """Start a process at the other end of a connection, whose death ends the connection."""
    command = [sys.executable, "-u", "-c", PROGRAM, str(theirs.fileno())]
    with theirs, _deaf_to_ctrl_c():
        return subprocess.Popen(
            command,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Have processes start with SIGINT blocked; one that comes meanwhile reaches this process afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
