"""What all tasks of a run are given: packed once here, unpacked once on every node, into a folder that goes again."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

PAUSE = 0.02  # seconds, before a lock that another process had is asked for again
CHUNK = 2**26  # bytes: what a node has in memory of the files at a time

Piece = tuple[
    str, bytes
]  # of a file: its name in the folder, and bytes that follow those of the piece before


class Movable(Protocol):
    """A record that names files, and can name them elsewhere."""

    @property
    def files(self) -> Sequence[Path]:
        """The files that it needs."""

    def moved(self, folder: Path) -> Self:
        """The same, with the files in ``folder``, each called by its place in `files`: ``0``, ``1`` and so on."""


def packed(files: Iterable[Path]) -> Iterator[list[Piece]]:
    """Read files, some `CHUNK` bytes at a time, however small or large each is."""
    pieces: list[Piece] = []
    size = 0
    for number, path in enumerate(files):
        pieces.append((str(number), b""))  # an empty file is one, too
        with path.open("rb") as file:
            while piece := file.read(CHUNK - size):
                pieces.append((str(number), piece))
                size += len(piece)
                if size == CHUNK:
                    yield pieces
                    pieces, size = [], 0
    if pieces:
        yield pieces


class Folder:
    """A run's folder on this node, which the run's processes here share; it goes with the last of them.

    A process that is killed can't take it away: the next run that comes to this node does.

    Args:
        run: the run's own name.
        bring: gives the pieces of the files; called by the first process that comes.

    Raises:
        OSError: the disk is full.
    """

    def __init__(self, run: str, bring: Callable[[], Iterable[list[Piece]]]) -> None:
        home = _home()
        home.mkdir(mode=0o700, exist_ok=True)
        sweep(but=run)
        self.path, self._lock = home / run, home / f"{run}.lock"
        self._held = _hold(self._lock, fcntl.LOCK_SH)  # waits while another process unpacks
        while not self.path.exists():
            os.close(self._held)
            self._held = self._unpacked(bring)

    def _unpacked(self, bring: Callable[[], Iterable[list[Piece]]]) -> int:
        """Unpack the files, unless another process is about to; return a shared hold in either case."""
        try:  # never waits: whoever has unpacked meanwhile keeps its hold for as long as it works
            held = _hold(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
            return _hold(self._lock, fcntl.LOCK_SH)
        try:
            if not self.path.exists():
                _unpack(bring(), self.path)
            fcntl.lockf(held, fcntl.LOCK_SH)
        except BaseException:
            os.close(held)
            _clear(self._lock)
            raise
        return held

    def close(self) -> None:
        """Let go of it."""
        os.close(self._held)
        _clear(self._lock)


def sweep(but: str = "") -> None:
    """Take away what killed processes have left on this machine, but for one run's."""
    for lock in _home().glob("*.lock"):
        if lock.stem != but:
            _clear(lock)


def _home() -> Path:
    return Path(tempfile.gettempdir(), f"compare-cells-{os.getuid()}")


def _unpack(pieces: Iterable[list[Piece]], folder: Path) -> None:
    """Write files into a folder, which is there when all are."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        for some in pieces:
            for name, piece in some:
                with (unfinished / name).open("ab") as file:
                    file.write(piece)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _hold(lock: Path, how: int) -> int:
    """Lock a file, made where it isn't there; once more where it was removed while this process waited."""
    while True:
        held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(held, how)
            if os.path.samestat(os.fstat(held), lock.stat()):
                return held
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(held)
            raise
        os.close(held)


def _clear(lock: Path) -> None:
    """Remove a run's folder, unless a process is using it."""
    with suppress(OSError):  # it is used
        held = _hold(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            for folder in (lock.with_suffix(""), lock.with_suffix(".unfinished")):
                shutil.rmtree(folder, ignore_errors=True)
            lock.unlink()
        finally:
            os.close(held)


class Shared:
    """Stands for a value, and the files that it needs, in the arguments of tasks.

    Attributes:
        run: the name of the folder that its files go to.
        value: a reference to it, and ``pieces`` to what `packed` made of its files, in the object store.
    """

    def __init__(self, run: str, value: Any, pieces: list[Any]) -> None:
        self.run, self.value, self.pieces = run, value, pieces
