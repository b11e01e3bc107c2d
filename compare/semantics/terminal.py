"""The tables, the time line and an explanation in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.semantics.record import Record, Row, differences
from compare.semantics.timeline import FROZEN, timeline
from compare.semantics.words import equivalents, gap, policy, sentences

COLUMNS = ("spelling", "fit", "moving statistics", "gamma, beta", "evaluate", "survives")
SIDES = {"keras": "Keras", "torch": "PyTorch"}


def cells(row: Row) -> tuple[str, ...]:
    """A row's facts in few words, a cell a column after the spelling's."""
    facts = row["facts"]
    if facts["fit"] == "raises":
        return "raises", "", "", facts["evaluate"], ""
    moves = " (and moves them)" if facts.get("evaluate_updates") else ""
    return (
        facts["fit"],
        _moving(facts),
        _affine(facts),
        facts["evaluate"] + moves,
        _survives(facts["survives"]),
    )


def _moving(facts: dict[str, Any]) -> str:
    if facts["updates"] == "no":
        return "kept"
    rule = facts["rule"]
    if rule is None:
        return "updated, by no known rule"
    kept = "cumulative" if rule["decay"] == "cumulative" else f"keeps {rule['decay']}"
    return f"{kept}, {rule['variance']}" + (", zero-debiased" if rule["zero_debiased"] else "")


def _affine(facts: dict[str, Any]) -> str:
    if facts["gamma_beta_change"]:
        return "train"
    return "stay, with a gradient" if facts["gamma_beta_gradient"] else "stay"


def _survives(survives: dict[str, bool | None]) -> str:
    lost = [name.replace("_", "/") for name, kept in survives.items() if kept is False]
    return f"not {', '.join(lost)}" if lost else "" if None in survives.values() else "all"


def facts_rows(record: Record) -> list[Row]:
    """The rows that are about the layer, and not about an epoch's loss."""
    return [row for row in record.rows if not row.get("epoch_loss")]


def differing(record: Record, records: Sequence[Record]) -> list[Row]:
    """The rows worth showing: of Keras on another backend those that differ from TensorFlow's, else all."""
    reference = next((other for other in records if other.framework == "keras"), None)
    rows = facts_rows(record)
    if reference is None or record.side != "keras" or record.framework in (None, "keras"):
        return rows
    return [
        row for row in rows if row["facts"] != (reference.row(row["spelling"]) or {"facts": None})["facts"]
    ]


def print_records(records: Sequence[Record], whole: Sequence[str], console: Console) -> None:
    """Print a table a record; of a Keras backend not asked for by name, what differs from TensorFlow's.

    Args:
        whole: the frameworks whose tables are printed in full whatever they hold.
    """
    for record in records:
        rows = facts_rows(record)
        shown = rows if record.framework in whole else differing(record, records)
        caption = (
            f"the other {len(rows) - len(shown)} rows as on TensorFlow" if len(shown) < len(rows) else None
        )
        table = _table(f"{record.label}: {record.how}", COLUMNS, caption)
        for row in shown:
            table.add_row(Text(row["spelling"]), *map(_narrow, cells(row)))
        console.print(table)
        for row in record.rows:
            if row.get("epoch_loss"):
                console.print(Text(f"{row['spelling']}: {epoch(row)}"))
        console.print()


def _table(title: str, columns: Sequence[str], caption: str | None = None) -> Table:
    """A table without lines between its columns: with them it is too wide for 80 characters."""
    table = Table(title=title, caption=caption, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.title_justify = table.caption_justify = "left"
    for name in columns:
        table.add_column(_narrow(name), overflow="fold")
    return table


def _narrow(text: str) -> str:
    """A cell in lines that leave the room to the spelling."""
    for space in (", ", " (", " statistics", " a gradient", " them"):
        text = text.replace(space, space.replace(" ", "\n", 1))
    return text


def print_changes(measured: Sequence[Record], past: Sequence[Record], console: Console) -> None:
    """Print where the versions measured now do something else than those that were recorded."""
    for record in measured:
        for old in (old for old in past if old.framework == record.framework):
            lines = differences(old, record)
            found = f"differs in {len(lines)} cells from" if lines else "does what was recorded of"
            console.print(Text(f"{record.label} {found} {old.label}, {old.date}"))
            for line in lines:
                console.print(Text(f"  {line}"))


def epoch(row: Row) -> str:
    """What an epoch's loss is, in one line."""
    by_kind: dict[str, list[str]] = {}
    for name, kind in row["epoch_loss"].items():
        by_kind.setdefault(kind, []).append(name.replace("_", " "))
    return "; ".join(f"{', '.join(names)}: {kind}" for kind, names in by_kind.items())


def print_timeline(records: Sequence[Record], console: Console) -> None:
    """Print what frozen meant, from the oldest release on."""
    written = "; ".join(f"{SIDES[side]}: {spelling}" for side, spelling in FROZEN.items())
    columns = ("when", "release", "fit", "moving statistics", "evaluate", "how known")
    table = _table(f"What frozen meant ({written})", columns)
    for period in timeline(records):
        fit, moving, _, evaluate, _ = cells(period.row)
        how = ", ".join(dict.fromkeys(record.how for record in period.records))
        table.add_row(period.when, period.releases, fit, moving, evaluate, how)
    console.print(table)


def print_explanation(
    spelling: str, records: Sequence[Record], others: Sequence[Record], console: Console
) -> None:
    """Print a spelling's row in words; of the records that have it, those that do the same once.

    Args:
        others: where to look for what does the same in the other framework.
    """
    said: list[dict[str, Any] | None] = []
    for record in records:
        row = record.row(spelling)
        if row is None:
            continue
        if row["facts"] in said:
            console.print(Text(f"The same in {record.label}: {record.how}\n"))
            continue
        said.append(row["facts"])
        console.print(Text(f"{spelling}\n{record.label}: {record.how}", style="bold"))
        console.print(Text(textwrap.indent(row["code"].rstrip(), "    ") + "\n"))
        for line in explanation(record, row, others):
            console.print(Text(line))
        console.print()


def print_elsewhere(spelling: str, records: Sequence[Record], console: Console) -> None:
    """Print what the same spelling does in other releases, a line each."""
    for record in records:
        row = record.row(spelling)
        if row and not row.get("epoch_loss"):
            fit, moving, _, evaluate, _ = cells(row)
            text = f"fit {fit}, moving statistics {moving}, evaluate {evaluate}"
            console.print(Text(f"{record.label} ({record.how}): {text}"))


def explanation(record: Record, row: Row, others: Sequence[Record]) -> list[str]:
    """The row in words, its gap, its policy, and the equivalent in the other framework; a line each."""
    lines = [row["note"]] if row["note"] else []
    if row.get("epoch_loss"):
        return [*lines, epoch(row)]
    facts = row["facts"]
    lines = [*lines, " ".join(sentences(facts)), f"Gap: {gap(facts)}"]
    policies, but = policy(facts)
    if policies:
        names = " or ".join(p.name for p in policies)
        lines.append(
            f"Policy: {'near ' if but else ''}{names}{', ' + but if but else ''}; see compare policies"
        )
    else:
        lines.append("Policy: none of this project's")
    side = "torch" if record.side == "keras" else "keras"
    if policies and not but:
        lines.append(f"In {SIDES[side]}: {getattr(policies[0], side)}")
    found = equivalents(row, [other for other in others if other.side == side])
    if found:
        other, same = found[0]
        rule = "" if same["facts"]["rule"] == facts["rule"] else f" (moving statistics: {cells(same)[1]})"
        lines.append(f"The same in {other.label}: {same['spelling']}{rule}")
        lines.append(textwrap.indent(same["code"].rstrip(), "    "))
    elif not policies or but:
        lines.append(f"In {SIDES[side]}: no spelling measured here does all of it")
    return lines
