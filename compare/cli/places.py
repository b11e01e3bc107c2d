"""Where a command is to write: what can't be written is refused before the work, not after."""

from __future__ import annotations

import os
from pathlib import Path

from compare.spec import InputError


def folder(out: Path | None) -> None:
    """Refuse a directory that can't be made or written in. Nothing is made yet: the work may end without a result.

    Raises:
        InputError: a file is in its place or above it, or it may not be written in.
    """
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; it must be a directory")
    _below(out)


def file(out: Path | None) -> None:
    """Refuse a file that can't be written: its directory has to be there.

    Raises:
        InputError: a directory is in its place, or there is none to hold it, or that may not be written in.
    """
    if out is None:
        return
    if out.is_dir():
        raise InputError(f"--out {out} is a directory; it must be a file")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: there is no directory {out.parent}")
    _below(out.absolute().parent)


def _below(out: Path) -> None:
    """What is there of a path, from the end on, must be a directory that may be written in."""
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"--out {out} can't be written: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--out {out} can't be written: {there} may not be written in")
