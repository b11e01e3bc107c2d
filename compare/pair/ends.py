"""Both models in their own processes, each asked one thing at a time."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from compare.frameworks import Framework, own
from compare.pair import side
from compare.processes.worker import Kept, Worker


class End:
    """A process with a side in it, which is asked one thing at a time."""

    def __init__(self, framework: Framework, dtype: str, threads: int) -> None:
        self.worker = Worker(framework, threads, dtype)
        self.side: Kept | None = None
        self.framework, self.dtype = framework, dtype

    def send(self, request: str, *arguments: Any) -> None:
        """Ask for something; `receive` waits for it."""
        if self.side is None:
            self.side = self.worker.keep(side.make, self.framework, self.dtype)
        self.worker.send(side.call, self.side, request, arguments)

    def receive(self) -> Any:
        """Wait for the answer."""
        return self.worker.receive()


class Pair:
    """Both models in their processes, with a folder for the files between them."""

    def __init__(self, dtype: str, threads: int = 1) -> None:
        self.dtype, self.threads = dtype, threads

    def __enter__(self) -> Pair:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-pair-")))
            keras, torch = own("keras"), own("torch")
            self.keras, self.torch = (
                End(framework, self.dtype, self.threads) for framework in (keras, torch)
            )
            for end in (self.keras, self.torch):
                stack.callback(end.worker.stop)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def both(self, request: str, ours: tuple, theirs: tuple) -> tuple[Any, Any]:
        """Ask both at the same time."""
        self.keras.send(request, *ours)
        self.torch.send(request, *theirs)
        return self.keras.receive(), self.torch.receive()

    def file(self, name: str) -> str:
        """The path of a file between the two."""
        return str(self.folder / f"{name}.safetensors")


def ask(end: End, request: str, *arguments: Any) -> Any:
    """Ask one of the two, and wait."""
    end.send(request, *arguments)
    return end.receive()
