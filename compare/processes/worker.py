"""A process of one framework that holds a model and answers requests about it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Load = Callable[[str, str, int], Any]
SPAWN = get_context("spawn")


class Worker:
    """The other end: a process with one framework, imported once, that is asked one thing at a time.

    Args:
        framework: ``keras`` or ``torch``.
        dtype: ``float64`` or ``float32``; of everything the framework computes.
        threads: how many it computes an operation with.
        log: a file for what it prints.
        load: makes the object that answers.
    """

    def __init__(self, framework: str, dtype: str, threads: int, log: Path, load: Load) -> None:
        self.framework, self.log = framework, log
        self.connection, theirs = SPAWN.Pipe()
        arguments = (theirs, load, framework, dtype, threads, log)
        self.process = SPAWN.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def send(self, request: str, *arguments: Any) -> None:
        """Ask for something; `receive` waits for it."""
        self.connection.send((request, arguments))

    def receive(self) -> Any:
        """Wait for the answer.

        Raises:
            RuntimeError: the request failed, or the process died.
        """
        try:
            answer, error = self.connection.recv()
        except (EOFError, OSError) as ended:
            self.process.join(10)
            code = self.process.exitcode
            raise RuntimeError(
                f"the {self.framework} process died (exit code {code})\n{self._tail()}"
            ) from ended
        if error:
            raise RuntimeError(f"the {self.framework} process: {error}\n{self._tail()}")
        return answer

    def ask(self, request: str, *arguments: Any) -> Any:
        """Ask for something and wait for the answer."""
        self.send(request, *arguments)
        return self.receive()

    def stop(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.kill()
        self.process.join()

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""


def _serve(connection: Connection, load: Load, framework: str, dtype: str, threads: int, log: Path) -> None:
    """Answer requests until the connection closes."""
    from compare.cells.serve import environment

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops this process
    os.environ.update(environment(threads))
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    subject = None
    while True:
        try:
            request, arguments = connection.recv()
        except (EOFError, OSError):
            sys.exit(0)
        try:
            subject = subject or load(framework, dtype, threads)
            connection.send((getattr(subject, request)(*arguments), ""))
        except Exception as error:
            traceback.print_exc()
            connection.send((None, " ".join(f"{type(error).__name__}: {error}".split())))
