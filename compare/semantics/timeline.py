"""What "frozen" meant from 2016 to today: the releases in order, those that agree with each other taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compare.semantics.record import RELEASED, Record, Row, core

FROZEN = {"keras": "layer.trainable = False", "torch": "requires_grad_(False)"}
TODAY = "today"


@dataclass(frozen=True)
class Period:
    """Releases in a row to which frozen meant the same.

    Attributes:
        since: year and month of the first, or ``today``.
        records: the releases, in order.
        row: what the first of them does.
    """

    since: str
    records: tuple[Record, ...]
    row: Row

    @property
    def releases(self) -> str:
        """The releases by name."""
        return ", ".join(record.label for record in self.records)

    @property
    def how(self) -> str:
        """How the facts are known."""
        return ", ".join(dict.fromkeys(record.how for record in self.records))


def timeline(records: Sequence[Record]) -> list[Period]:
    """Order the releases that have a row for a frozen layer, and take together those that agree."""
    periods: list[Period] = []
    for record in sorted(records, key=_order):
        row = record.row(FROZEN[record.side])
        if row is None:
            continue
        last = periods[-1] if periods else None
        if last and _agree(last, record, row):
            periods[-1] = Period(last.since, (*last.records, record), last.row)
        else:
            periods.append(Period(_since(record), (record,), row))
    return periods


def _agree(period: Period, record: Record, row: Row) -> bool:
    last = period.records[-1]
    same = core(period.row) == core(row) and period.row["facts"]["rule"] == row["facts"]["rule"]
    return same and last.side == record.side and last.measured == record.measured


def _since(record: Record) -> str:
    return RELEASED.get(record.release, TODAY)


def _order(record: Record) -> tuple[bool, str, str]:
    return record.side == "torch", RELEASED.get(record.release, "9999"), record.release
