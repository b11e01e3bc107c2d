"""Errors that cross from a worker's process to this one, and the words for a process that died."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import traceback


class WorkerDiedError(RuntimeError):
    """A worker's process ended in the middle of its work."""


class WorkerError(RuntimeError):
    """What a worker's function raised, where its type is a framework's own and unknown here.

    Attributes:
        kind: the name of that type.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def is_full_disk(error: Exception) -> bool:
    """Whether an error, of whichever type, says that a disk is full."""
    return getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error)


def portable(error: Exception) -> Exception:
    """Return an error that arrives as itself: of Python's own types or this package's, with its traceback as a note.

    A full disk is an `OSError`, whoever noticed it: libraries raise types of their own, with the system's words.
    """
    text = "".join(traceback.format_exception(error))
    if is_full_disk(error) and getattr(error, "errno", None) != errno.ENOSPC:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    home = type(error).__module__
    if (home != "builtins" and not home.startswith("compare.")) or not _survives(error):
        error = WorkerError(type(error).__name__, " ".join(str(error).split()))
    error.__traceback__ = error.__cause__ = error.__context__ = None
    error.__notes__ = [f"in the worker:\n{text}"]
    return error


def in_a_line(error: Exception) -> str:
    """Say an error in one line, its kind first, unless its words say that already."""
    kind = "" if isinstance(error, (WorkerError, WorkerDiedError)) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split())


def death(exit_code: int | None) -> str:
    """Say how a process died."""
    if exit_code is None or exit_code >= 0:
        return f"died (exit code {exit_code})"
    if -exit_code == signal.SIGKILL:
        return f"died (signal {signal.SIGKILL.value}, killed: perhaps out of memory)"
    return f"died (signal {-exit_code}, {signal.strsignal(-exit_code)})"


def _survives(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False
