"""The run directory: who may write it, atomic files, and what counts as finished."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare.cells import tables
from compare.cells.work import Timing
from compare.files import sha256, write
from compare.gap.reading import RecordError, read_result, to_json, validated
from compare.gap.records import CellResult
from compare.spec import Cell, InputError

CONFIG, WEIGHTS, LOCK = "config.json", "weights.safetensors", ".lock"
NOT_COMPARED = ("command", "cells", "weights.", "machine.platform", "machine.cores")
DEVICES = " (on another device the last digits differ)"  # why it can't be gone on with there
# The tables are made anew from all cells, which takes the longer the more there are: at most this share of the time.
TABLES_SHARE = 0.05


class Store:
    """A run directory that this process alone writes; leaving the ``with`` block gives it up.

    Attributes:
        path: the directory.
        config: what ``config.json`` holds.
        cells: the run's grid, in order.
        results: name of the cell -> its result, of the cells that ended, finished or failed.
    """

    def __init__(self, path: Path, config: dict, cells: list[Cell], lock: int) -> None:
        """Take over a directory whose lock is held; `create` and `reopen` are the ways in."""
        self.path, self.config = path, config
        self.cells, self._lock = cells, lock
        self.results: dict[str, CellResult] = self._kept("cell.json", lambda text: read_result(text)[0])
        self._timings: dict[str, Timing] = self._kept("timing.json", _read_timing)
        self._behind, self._due = (
            False,
            0.0,
        )  # whether the tables lack a cell, and when they may be made again

    def __enter__(self) -> Store:
        """Return itself: the lock is held since the run was opened."""
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        """Bring the tables up to date, and let go of the lock."""
        try:
            if self._behind:
                with (
                    suppress(OSError) if kind else nullcontext()
                ):  # it may be what ends the block: a full disk
                    self.write_tables()
        finally:
            os.close(self._lock)

    @property
    def unfinished(self) -> list[Cell]:
        """The cells that are still to be run, in the grid's order."""
        return [
            cell for cell in self.cells if cell.name not in self.results or not self.results[cell.name].final
        ]

    @property
    def ended(self) -> list[CellResult]:
        """The results so far, in the grid's order."""
        return [self.results[cell.name] for cell in self.cells if cell.name in self.results]

    def start(self, cell: Cell) -> Path:
        """Empty the cell's folder, so that nothing of an earlier attempt counts; return it."""
        folder = self.path / "cells" / cell.name
        self.results.pop(cell.name, None)
        self._timings.pop(cell.name, None)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def end(
        self,
        cell: Cell,
        result: CellResult,
        timing: Timing | None = None,
        checkpoint: bytes | None = None,
        log: bytes = b"",
    ) -> None:
        """Keep what a cell ended with; the tables follow at once, or soon where there are many cells.

        Args:
            checkpoint: the best epoch's weights, a safetensors file.
            log: what the worker printed.
        """
        folder = self.path / "cells" / cell.name
        write(folder / "log.txt", log)
        if checkpoint is not None:
            write(folder / "best.safetensors", checkpoint)
        if timing is not None:
            self._timings[cell.name] = timing
            write(folder / "timing.json", to_json(timing))
        text = to_json(result)
        write(folder / "cell.json", text)
        # as it will be read again, so that a run in one go and a resumed one have the same tables
        self.results[cell.name], _ = read_result(text)
        self._behind = True
        self.refresh()

    def refresh(self) -> None:
        """Make the tables again if they lack a cell, and if it isn't too soon after the last time."""
        if self._behind and time.monotonic() >= self._due:
            began = time.monotonic()
            self.write_tables()
            self._due = time.monotonic() + (time.monotonic() - began) / TABLES_SHARE

    def write_tables(self) -> None:
        """Make the CSV files from the cells' results."""
        timings = {
            cell.name: self._timings[cell.name]
            for cell in self.cells
            if cell.name in self.results and cell.name in self._timings
        }
        for table in (tables.results, tables.history, tables.gap, tables.layers, tables.stages):
            write(self.path / f"{table.__name__}.csv", table(self.ended))
        write(self.path / "timing.csv", tables.timing(timings))
        self._behind = False

    def _kept(self, file: str, read: Callable[[str], Any]) -> dict[str, Any]:
        """What the cells of the run have in a file, of those where it is there and whole."""
        kept = {}
        for cell in self.cells:
            with suppress(FileNotFoundError, NotADirectoryError, UnicodeDecodeError, RecordError):
                kept[cell.name] = read((self.path / "cells" / cell.name / file).read_text(encoding="utf-8"))
        return kept


def _read_timing(text: str) -> Timing:
    try:
        return validated(Timing, json.loads(text))
    except ValueError as error:
        raise RecordError(f"not a timing: {error}") from error


def create(out: Path, config: dict, cells: list[Cell], prepare: Callable[[Path], dict]) -> Store:
    """Begin a run in a directory that is new or empty.

    Args:
        out: the directory.
        config: what ``config.json`` is to hold, but for the weights.
        cells: the run's grid, in order.
        prepare: writes the weights to the path it is given and returns facts about them.

    Raises:
        InputError: the directory holds something, or another process is writing it.
        Exception: whatever ``prepare`` raises; the directory is then as it was.
    """
    check_out(out, resume=False)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    lock = _lock(out)
    try:
        facts = prepare(out / WEIGHTS)
        config = {**config, "weights": {**facts, "sha256": sha256(out / WEIGHTS)}}
        write(out / CONFIG, _json(config))
        return Store(out, config, cells, lock)
    except BaseException:
        _undo(out, made)
        os.close(lock)
        raise


def reopen(out: Path, config: dict, cells: list[Cell]) -> Store:
    """Go on with a run.

    Raises:
        InputError: there is no run, it has other settings or weights, or another process is writing it.
    """
    check_out(out, resume=True)
    lock = _lock(out)
    try:
        old = _read(out / CONFIG) or {}
        changes = differences(old, config)
        if changes:
            why = DEVICES if any(change.name.startswith("devices.") for change in changes) else ""
            raise InputError(
                f"--resume with other settings than {out} has: {'; '.join(map(str, changes))}{why}"
            )
        if not (out / WEIGHTS).is_file() or sha256(out / WEIGHTS) != old["weights"]["sha256"]:
            raise InputError(f"--resume: {out / WEIGHTS} isn't the file that the run began with")
        return Store(out, old, cells, lock)
    except BaseException:
        os.close(lock)
        raise


def check_out(out: Path, resume: bool) -> None:
    """Raise InputError unless ``out`` can be begun in or, with ``resume``, gone on with."""
    if (_read(out / CONFIG) or {}).get("settings"):
        if not resume:
            raise InputError(f"--out {out} holds a run: --resume goes on with it, or give another --out")
    elif resume:
        raise InputError(f"--resume: there is no run in {out}")
    elif out.exists() and not (out.is_dir() and _never_begun(out)):
        raise InputError(f"--out {out} holds something else than a run: give a new or empty directory")


def next_free(backbone: str, runs: Path = Path("runs")) -> Path:
    """Return the directory of the next run: ``runs/resnet50-1``, ``-2``, ..."""
    names = [path.name for path in runs.glob(f"{backbone}-*")]
    numbers = [int(match[1]) for name in names if (match := re.fullmatch(rf"{backbone}-(\d+)", name))]
    return runs / f"{backbone}-{max(numbers, default=0) + 1}"


@dataclass(frozen=True)
class Change:
    """A value that two configurations differ in; as text, ``epochs: was 8, now 4``.

    Attributes:
        name: the keys that lead to it, joined by dots; a setting, which a person knows as an option, has one.
    """

    name: str
    was: object
    now: object

    @property
    def is_setting(self) -> bool:
        """Whether it is a setting, and not something that follows from the settings or the machine."""
        return "." not in self.name

    def __str__(self) -> str:
        """Say what it was and what it is now."""
        return f"{self.name}: was {_shown(self.was)}, now {_shown(self.now)}"


def differences(old: dict, new: dict) -> list[Change]:
    """List what two configurations differ in, but for the machine."""
    was, now = _flat(_with_devices(old)), _flat(_with_devices(new))
    return [
        Change(name, was.get(name), now.get(name))
        for name in dict.fromkeys([*was, *now])
        if was.get(name) != now.get(name) and not name.startswith(NOT_COMPARED)
    ]


def _with_devices(config: dict) -> dict:
    """Name the devices of a run from before there was a choice."""
    frameworks = config.get("frameworks")
    if "devices" in config or not isinstance(frameworks, list):
        return config
    return {**config, "devices": dict.fromkeys(map(str, frameworks), "cpu")}


def _lock(out: Path) -> int:
    """Take the directory's lock, or raise InputError; the system lets go of a dead process's."""
    lock = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise InputError(f"another process is writing {out}: wait for it, or give another --out") from None
    return lock


def _undo(out: Path, made: list[Path]) -> None:
    for name in (CONFIG, WEIGHTS, LOCK):
        (out / name).unlink(missing_ok=True)
    for folder in made:
        with suppress(OSError):  # somebody else has put something there meanwhile
            folder.rmdir()


def _never_begun(out: Path) -> bool:
    """Whether a directory is empty, or was left by a run that was killed before it had a configuration."""
    names = {path.name for path in out.iterdir()}
    return not names or (LOCK in names and all(n == LOCK or n.lstrip(".").startswith(WEIGHTS) for n in names))


def _read(path: Path) -> dict | None:
    """Read a JSON object; None where there is none, or none that is whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _json(value: dict) -> str:
    return json.dumps(value, indent=1) + "\n"


def _flat(config: dict, prefix: str = "") -> dict[str, object]:
    """Name nested values ``outer.inner``; the settings, which a person knows as options, without prefix."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        name = prefix + key
        if isinstance(value, dict):
            flat |= _flat(value, "" if name == "settings" else f"{name}.")
        else:
            flat[name] = value
    return flat
