"""What "frozen" meant from 2016 to today: the releases in order, those to which it meant the same taken together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from compare.semantics.record import RELEASED, Record, Row, core

FROZEN = {"keras": "layer.trainable = False", "torch": "requires_grad_(False)"}
TODAY = "today"


@dataclass(frozen=True)
class Period:
    """The releases to which frozen meant the same, oldest first.

    Attributes:
        records: the releases.
        row: what the first of them does.
    """

    records: tuple[Record, ...]
    row: Row

    @property
    def when(self) -> str:
        """Year and month of the first release, and of the last."""
        first, last = (RELEASED.get(record.release, TODAY) for record in (self.records[0], self.records[-1]))
        return first if first == last else f"{first} to {last}"

    @property
    def releases(self) -> str:
        """The releases by name, a package's versions after it once."""
        versions: dict[str, list[str]] = {}
        for record in self.records:
            package, _, version = record.label.partition(" ")
            versions.setdefault(package, []).append(version)
        return "; ".join(f"{package} {', '.join(found)}" for package, found in versions.items())


def timeline(records: Sequence[Record]) -> list[Period]:
    """Take together the releases that agree on a frozen layer; what is measured now stays apart."""
    periods: dict[str, list[tuple[Record, Row]]] = {}
    for record in sorted(records, key=_order):
        row = record.row(FROZEN[record.side])
        if row is not None:
            key = json.dumps([record.side, record.measured, core(row), row["facts"]["rule"]])
            periods.setdefault(key, []).append((record, row))
    return [Period(tuple(record for record, _ in found), found[0][1]) for found in periods.values()]


def _order(record: Record) -> tuple[bool, str, str]:
    return record.side == "torch", RELEASED.get(record.release, "9999"), record.release
