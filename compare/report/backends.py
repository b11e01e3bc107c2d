"""Where the backends of Keras that a run has were measured to do otherwise than one another: of `compare semantics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compare.frameworks import FRAMEWORKS, called
from compare.semantics.record import Record, read, releases
from compare.semantics.row import Measured
from compare.semantics.terminal import layer_rows


@dataclass(frozen=True)
class Apart:
    """What several backends of Keras do differently.

    Attributes:
        columns: the backends, with the versions that were measured, and when.
        rows: a spelling each, with what each backend does under it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def backends(frameworks: Sequence[str]) -> Apart | None:
    """Look up where the Keras backends among some frameworks part; None where there are fewer than two."""
    recorded = {record.framework: record for record in map(read, releases())}
    keras = [name for name in called(frameworks) if FRAMEWORKS[name].side == "keras" and name in recorded]
    if len(keras) < 2:
        return None
    records = [recorded[name] for name in keras]
    does = [{row.spelling: own for row, own in layer_rows(record)} for record in records]
    spellings = dict.fromkeys(spelling for own in does for spelling in own)
    rows = tuple(
        (spelling, tuple(_said(own.get(spelling)) for own in does))
        for spelling in spellings
        if any(own.get(spelling) != does[0].get(spelling) for own in does)
    )
    return Apart(tuple(map(_column, records)), rows)


def _column(record: Record) -> str:
    return f"{record.label}, {record.how}"


def _said(does: Measured | None) -> str:
    if does is None:
        return "not measured"
    if does.fit == "raises":
        return "raises an error"
    moving = "moves" if does.updates else "keeps"
    lost = [name.replace("_", "/") for name, kept in does.survives.items() if kept is False]
    survives = f"; doesn't survive {', '.join(lost)}" if lost else ""
    trains = "train" if does.gamma_beta_change else "stay"
    return (
        f"fit uses {does.fit} statistics and {moving} the moving ones, gamma and beta {trains};"
        f" evaluate uses {does.evaluate} ones{survives}"
    )
