"""What "frozen" meant from 2016 to today: the releases in order, those to which it meant the same taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compare.semantics.record import RELEASED, Record
from compare.semantics.row import Measured

FROZEN = {"keras": "layer.trainable = False", "torch": "requires_grad_(False)"}
TODAY = "today"


@dataclass(frozen=True)
class Period:
    """The releases to which frozen meant the same, oldest first.

    Attributes:
        records: the releases.
        spelling: what is written.
        does: what the layer does in the first of them.
    """

    records: tuple[Record, ...]
    spelling: str
    does: Measured

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
    periods: dict[object, list[Record]] = {}
    first: dict[object, Measured] = {}
    for record in sorted(records, key=_order):
        row = record.row(FROZEN[record.side])
        if row is not None and row.does is not None:
            key = (record.side, record.measured, row.does.behaviour, row.does.rule)
            periods.setdefault(key, []).append(record)
            first.setdefault(key, row.does)
    return [Period(tuple(found), FROZEN[found[0].side], first[key]) for key, found in periods.items()]


def _order(record: Record) -> tuple[bool, str, str]:
    return record.side == "torch", RELEASED.get(record.release, "9999"), record.release
