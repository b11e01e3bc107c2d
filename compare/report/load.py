"""A run directory as it lies on the disk, read without what can't be used of it, and judged."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from compare.cells.store import CONFIG, LOCK
from compare.frameworks import FRAMEWORKS
from compare.gap.reading import NotJSONError, RecordError, read_result
from compare.gap.records import CellResult
from compare.report.rows import Table, tabulate
from compare.spec import BACKBONES, NUMERICS, POLICIES, InputError

KNOWN: dict[str, Collection[str]] = {
    "framework": FRAMEWORKS,
    "backbone": BACKBONES,
    "policy": POLICIES,
    "numerics": NUMERICS,
}


@dataclass(frozen=True)
class Run:
    """What a run directory holds.

    Attributes:
        config: its ``config.json``.
        tables: its cells, judged.
        warnings: a line for each file that can't be used.
    """

    folder: Path
    config: dict
    tables: list[Table]
    warnings: list[str]


def load_run(folder: Path) -> Run:
    """Read a run directory, and go on without the files that can't be used.

    Raises:
        InputError: there is no such folder, or nothing in it can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"run directory {str(folder)!r} doesn't exist")
    config, warnings = _config(folder)
    paths = sorted(folder.glob("cells/*/cell.json"))
    cells: list[CellResult] = []
    unexplained: list[str] = []
    for path in paths:
        name = path.relative_to(folder)
        try:
            cell, problems = read_result(path.read_text(encoding="utf-8"))
            _check(cell)
        except (OSError, UnicodeDecodeError, NotJSONError) as error:
            warnings.append(f"{name} can't be read: {' '.join(str(error).split())}")
        except RecordError as error:
            warnings.append(f"{name} isn't one of this program's: {error}")
        else:
            cells.append(cell)
            unexplained += [f"{name} has an explanation that can't be used: {line}" for line in problems[:1]]
    if not cells:
        why = f" ({warnings[-1]})" if warnings else ""
        raise InputError(f"run directory {str(folder)!r} holds no cell that has ended{why}")
    warnings += [*unexplained, *_missing(folder, config, {path.parent.name for path in paths})]
    return Run(folder, config, tabulate(config, cells), warnings)


def _config(folder: Path) -> tuple[dict, list[str]]:
    """The configuration, which is for showing: any object will do, and none is no reason to stop."""
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, [f"{CONFIG} is missing"]
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{CONFIG} can't be read: {' '.join(str(error).split())}"]
    return (
        (found, [])
        if isinstance(found, dict)
        else ({}, [f"{CONFIG} isn't one of this program's: not an object"])
    )


def _check(cell: CellResult) -> None:
    """Refuse a cell of a framework, backbone, policy or numerics that this version doesn't know."""
    for name, known in KNOWN.items():
        if getattr(cell, name) not in known:
            raise RecordError(f"{name} is {getattr(cell, name)!r}")


def _missing(folder: Path, config: dict, ended: set[str]) -> list[str]:
    """Say which of the run's cells have no result yet, and whether it is still going."""
    listed = config.get("cells")
    expected = {path.name for path in folder.glob("cells/*") if path.is_dir()}
    expected |= set(map(str, listed)) if isinstance(listed, list) else set()
    missing = sorted(expected - ended)
    if not missing:
        return []
    state = "the run is still going" if _is_going(folder) else "the run isn't finished"
    return [f"{state}: {len(missing)} of {len(expected)} cells have no result yet: {', '.join(missing)}"]


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
