"""A process for reading files that may be damaged: it may hang, crash or ask for all memory without harm here."""

from __future__ import annotations

import atexit
import resource
from collections.abc import Callable
from typing import Any, TypeVar

from compare.frameworks import FRAMEWORKS
from compare.processes.worker import Worker, WorkerDiedError

T = TypeVar("T")

# seconds for the process to start and import what reads, on a busy machine or from a network's disk
START = 180.0
# seconds for a file, and bytes a second on top: a disk's and h5py's on a busy machine
PATIENCE, PACE = 20.0, 10e6
# bytes of address space for libraries, and how many times the file's size on top
ROOM, COPIES = 4 * 2**30, 12


class _Guard:
    """The process, started when it is needed and again after it had to be ended."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    def call(self, function: Callable[..., T], arguments: tuple, size: int) -> T:
        # no framework is imported there; whose environment it has is of no matter
        self.worker = self.worker or Worker(FRAMEWORKS["torch"], threads=1, prepared=False)
        try:
            self.worker.patience = START
            self.worker.call(_imported, function)
            self.worker.patience = PATIENCE + size / PACE
            return self.worker.call(_limited, ROOM + COPIES * size, function, *arguments)
        except (WorkerDiedError, TimeoutError):
            self.stop()
            raise ValueError(
                "can't be read, it may be damaged: the process that read it had to be ended"
            ) from None
        except ValueError:
            raise
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self.worker is not None:
            self.worker.stop()
        self.worker = None


_GUARD = _Guard()
atexit.register(_GUARD.stop)


def call(function: Callable[..., T], *arguments: Any, size: int = 0) -> T:
    """Call a function with a file of so many bytes in a process of its own, which knows no framework.

    Raises:
        ValueError: it raised that, hung, ended its process or wanted too much memory.
    """
    return _GUARD.call(function, arguments, size)


def end() -> None:
    """End the process, whose memory may be wanted; a later call starts another."""
    _GUARD.stop()


def _imported(function: Callable) -> None:
    """Do nothing: to be sent a function is to import its module, which takes no part of the file's time."""


def _limited(room: int, function: Callable, *arguments: Any) -> Any:
    """Call a function with so much address space."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (room, hard))
    try:
        return function(*arguments)
    except MemoryError:
        raise ValueError(
            "can't be read, it may be damaged: it asks for more memory than it can need"
        ) from None
