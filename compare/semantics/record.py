"""A table of measured facts, and the recorded ones that come with the project. Imports no framework."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare.frameworks import FRAMEWORKS
from compare.semantics.row import Row, read_row
from compare.spec import InputError, choose

RECORDS = Path(__file__).parent / "records"
CALLED = {"keras": "Keras", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
# when a release came out: year and month
RELEASED = {
    "keras-1.2.2": "2017-02",
    "keras-2.0.0": "2017-03",
    "keras-2.0.9": "2017-11",
    "keras-2.1.2": "2017-12",
    "keras-2.1.3": "2018-01",
    "keras-2.1.6": "2018-04",
    "keras-2.2.4": "2018-10",
    "tf.keras-2.0": "2019-09",
    "keras-2.3.1": "2019-10",
    "tf.keras-1.15": "2019-10",
    "tf-keras-2.21": "2026-03",
}


@dataclass(frozen=True)
class Record:
    """What one release does under each spelling.

    Attributes:
        release: ``keras-2.2.4``, ``keras-3.15.1-jax``, ``torch-2.14.1``.
        packages: name -> version of everything that computed.
        date: of the measurement, ISO 8601.
        rows: a spelling each.
        measured: now, by this process's workers; else it was recorded then.
    """

    release: str
    packages: dict[str, str]
    date: str
    rows: Sequence[Row]
    measured: bool = False

    @property
    def how(self) -> str:
        """How the facts are known, in words."""
        return "measured now" if self.measured else f"recorded {self.date}"

    @property
    def side(self) -> str:
        """``keras`` or ``torch``: whose spellings these are."""
        return "torch" if self.release.startswith("torch-") else "keras"

    @property
    def framework(self) -> str | None:
        """The framework that measures this release where it is installed; None for one of the past."""
        package, _, rest = self.release.partition("-")
        version, _, backend = rest.partition("-")
        name = f"{package}-{backend}" if backend else package
        return name if name in FRAMEWORKS and (package == "torch" or version >= "3") else None

    @property
    def label(self) -> str:
        """The release as a person calls it, with the versions that matter."""
        package, _, version = self.release.rpartition("-")
        if self.framework is None:
            return f"{CALLED.get(package, package)} {version}"
        needs = FRAMEWORKS[self.framework].needs[: 1 if self.side == "torch" else 2]
        return " on ".join(f"{CALLED[name]} {self.packages[name]}" for name in needs)

    def row(self, spelling: str) -> Row | None:
        """The row of a spelling, if there is one."""
        return next((row for row in self.rows if row.spelling == spelling), None)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON can hold it."""
        how = "measured" if self.measured else "recorded"
        rows = [row.as_dict() for row in self.rows]
        return {
            "release": self.release, "how": how, "packages": self.packages, "date": self.date, "rows": rows
        }  # fmt: skip


def releases() -> list[str]:
    """The names of the recorded releases, oldest first."""
    names = [path.stem for path in RECORDS.glob("*.json")]
    return sorted(names, key=lambda name: (RELEASED.get(name, "9999"), name))


def read(release: str) -> Record:
    """Read a recorded release.

    Raises:
        InputError: it isn't recorded.
    """
    if release not in releases():
        there = ", ".join(releases())
        raise InputError(
            f"release {release!r} isn't recorded; there are {there}. Record one with tools/legacy_keras"
        )
    data = json.loads((RECORDS / f"{release}.json").read_text())
    return Record(data["release"], data["packages"], data["date"], [read_row(row) for row in data["rows"]])


def find(spelling: str, records: Sequence[Record]) -> str:
    """Return the spelling that a person means: by its whole name, or by a part that only one has.

    Raises:
        InputError: none has it, or several.
    """
    names = list(dict.fromkeys(row.spelling for record in records for row in record.rows))
    if spelling in names:
        return spelling
    parts = [name for name in names if spelling.lower() in name.lower()]
    if len(parts) == 1:
        return parts[0]
    if parts:
        raise InputError(f"spelling {spelling!r} is part of {len(parts)}: {'; '.join(parts)}")
    return choose("spelling", spelling, names)


def differences(recorded: Record, fresh: Record) -> list[str]:
    """Say where two records of one framework disagree, a line a cell."""
    lines = []
    names = [row.spelling for row in (*recorded.rows, *fresh.rows)]
    for name in dict.fromkeys(names):
        was, now = recorded.row(name), fresh.row(name)
        if was is None or now is None:
            lines.append(f"{name}: {'not recorded' if was is None else 'not measured'}")
            continue
        before, after = was.cells, now.cells
        for fact in dict.fromkeys([*before, *after]):
            if before.get(fact) != after.get(fact):
                lines.append(f"{name}: {fact}: was {before.get(fact)}, is {after.get(fact)}")
    return lines
