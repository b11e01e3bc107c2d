"""Files: written whole or not at all, and hashed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text in UTF-8, with its line ends as they are.

    A file's name may hold bytes that are no text here: they are written as ``\\udcff``, which JSON reads back.

    Raises:
        OSError: it can't be written (a full disk), with its name; what was there before still is.
    """
    try:
        with replacing(path) as unfinished, unfinished.open("wb") as file:
            file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name in the same directory to write to; what is there afterwards gets the name ``path``, at once.

    Nothing is left of it when an error ends the block.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256(content: Path | bytes) -> str:
    """Return the hex digest of a file, or of bytes."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
