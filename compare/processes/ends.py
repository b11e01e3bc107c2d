"""What a proof is made with: two frameworks' processes, a thing kept in each, and the files between them."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from compare.frameworks import Framework
from compare.processes.environment import peak_memory
from compare.processes.errors import WorkerDiedError
from compare.processes.worker import Kept, Worker
from compare.spec import InputError


class End:
    """A process of one framework with one thing in it, which is asked one thing at a time.

    A context manager, which starts the process and ends it.

    Args:
        make: makes the thing there, of the framework, at the first request.
        threads, dtype, device: as a `Worker` takes them.
    """

    worker: Worker

    def __init__(
        self,
        framework: Framework,
        make: Callable[[Framework], Any],
        threads: int | None = None,
        dtype: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.framework, self.make, self.settings = framework, make, (threads, dtype)
        self.device = device
        self.thing: Kept | None = None

    def __enter__(self) -> Self:
        self.worker, self.thing = Worker(self.framework, *self.settings, device=self.device), None
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()

    def send(self, request: str | Callable, *arguments: Any) -> None:
        """Ask for something, a method of the thing or a function of it; `receive` waits for the answer.

        Raises:
            InputError: the process was killed.
        """
        try:
            self.thing = self.thing or self.worker.keep(self.make, self.framework)
        except WorkerDiedError as died:
            raise InputError(str(died)) from None
        self.worker.send(_asked, self.thing, request, arguments)

    def receive(self) -> Any:
        """Wait for the answer.

        Raises:
            InputError: the process was killed.
        """
        try:
            return self.worker.receive()
        except WorkerDiedError as died:
            raise InputError(str(died)) from None

    def call(self, request: str | Callable, *arguments: Any) -> Any:
        """Ask and wait; errors are as `receive`'s, and what was raised there."""
        self.send(request, *arguments)
        return self.receive()

    def versions(self) -> dict[str, str]:
        """Versions of what computes there."""
        return self.worker.call(self.framework.versions)


def _asked(thing: Any, request: str | Callable, arguments: tuple) -> Any:
    """What runs there."""
    return getattr(thing, request)(*arguments) if isinstance(request, str) else request(thing, *arguments)


class Ends:
    """Two ends at work, with a directory for the files between them; a context manager.

    Attributes:
        folder: the directory.
    """

    folder: Path

    def __init__(self, one: End, other: End) -> None:
        self.ends = (one, other)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
            for end in self.ends:
                stack.enter_context(end)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def both(self, request: str | Callable, ours: tuple, theirs: tuple) -> tuple[Any, Any]:
        """Ask both at the same time."""
        for end, arguments in zip(self.ends, (ours, theirs), strict=True):
            end.send(request, *arguments)
        one, other = (end.receive() for end in self.ends)
        return one, other

    def file(self, name: str) -> str:
        """The path of a file between the two."""
        return str(self.folder / f"{name}.safetensors")

    def versions(self) -> dict[str, str]:
        """Versions of what computes in both, and of what compares."""
        one, other = (end.versions() for end in self.ends)
        return {"python": platform.python_version(), **one, **other, "numpy": np.__version__}

    def peak_memory(self) -> int:
        """Bytes that both processes have had in memory at most."""
        return sum(end.worker.call(peak_memory) for end in self.ends)
