"""A run directory as it lies on the disk, read without what can't be used of it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare.cells.store import CONFIG, LOCK
from compare.spec import BACKBONES, FRAMEWORKS, NUMERICS, POLICIES, InputError
from compare.verdict import explained as explanation


@dataclass(frozen=True)
class Run:
    """What a run directory holds: its ``config.json``, its cells, and a line for each file that can't be used."""

    folder: Path
    config: dict
    cells: list[dict]
    warnings: list[str]


def load_run(folder: Path) -> Run:
    """Read a run directory, and go on without the files that can't be used.

    Raises:
        InputError: there is no such folder, or nothing in it can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"run directory {str(folder)!r} doesn't exist")
    warnings: list[str] = []
    config = _read(folder, folder / CONFIG, _check_config, warnings) or {}
    paths = sorted(folder.glob("cells/*/cell.json"))
    cells = [cell for path in paths if (cell := _read(folder, path, _check_cell, warnings))]
    if not cells:
        why = f" ({warnings[-1]})" if warnings else ""
        raise InputError(f"run directory {str(folder)!r} holds no cell that has ended{why}")
    warnings += filter(None, map(_unexplained, cells))
    listed = config.get("cells")
    expected = {path.name for path in folder.glob("cells/*") if path.is_dir()}
    expected |= set(map(str, listed)) if isinstance(listed, list) else set()
    missing = sorted(expected - {path.parent.name for path in paths})
    if missing:
        state = "the run is still going" if _is_going(folder) else "the run isn't finished"
        warnings.append(
            f"{state}: {len(missing)} of {len(expected)} cells have no result yet: {', '.join(missing)}"
        )
    return Run(folder, config, cells, warnings)


def _read(folder: Path, path: Path, check: Callable[[Any], str], warnings: list[str]) -> dict | None:
    name = path.relative_to(folder)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        warnings.append(f"{name} is missing")
    except (OSError, ValueError, RecursionError) as error:
        warnings.append(f"{name} can't be read: {' '.join(str(error).split())}")
    else:
        problem = check(found)
        if not problem:
            return found
        warnings.append(f"{name} isn't one of this program's: {problem}")
    return None


def _is_going(folder: Path) -> bool:
    """Whether a process holds the lock of the run."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _unexplained(cell: dict) -> str:
    """Say what is wrong with the first explanation that can't be used; nothing where all can."""
    found = cell.get("explanations", [])
    problems = [explanation.problem(entry) for entry in found] if isinstance(found, list) else ["not a list"]
    problem = next(filter(None, problems), "")
    name = "{framework}-{policy}-{numerics}-seed{seed}".format(**cell)
    return f"cells/{name}/cell.json has an explanation that can't be used: {problem}" if problem else ""


def _check_config(config: Any) -> str:
    return "" if isinstance(config, dict) else "not an object"


def _check_cell(cell: Any) -> str:
    if not isinstance(cell, dict):
        return "not an object"
    known = {"framework": FRAMEWORKS, "backbone": BACKBONES, "policy": POLICIES, "numerics": NUMERICS}
    for key, allowed in known.items():
        if not isinstance(cell.get(key), str) or cell[key] not in allowed:
            return f"{key} is {cell.get(key)!r}"
    if not isinstance(cell.get("seed"), int) or not isinstance(cell.get("status"), str):
        return "no seed or no status"
    history = cell.get("history")
    if not isinstance(history, list) or not all(_is_epoch(epoch) for epoch in history):
        return "its history has an epoch without loss and accuracy"
    if cell["status"] == "finished" and not history:
        return "finished without an epoch"
    return ""


def _is_epoch(epoch: Any) -> bool:
    try:
        figures = [
            epoch[part][metric] for part in ("fit", "evaluate", "val") for metric in ("loss", "accuracy")
        ]
        return isinstance(epoch["epoch"], int) and all(isinstance(figure, int | float) for figure in figures)
    except (KeyError, TypeError):
        return False
