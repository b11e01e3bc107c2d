"""The tables, the time line and an explanation in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from compare.semantics.record import Record, differences
from compare.semantics.row import Measured, Row
from compare.semantics.timeline import FROZEN, timeline
from compare.semantics.words import equivalents, gap, policy, sentences

# columns of a terminal from which on a row's spelling has room beside the rest
WIDE = 140
# of the cells, where each spelling has a line of its own; all of them fit into 80 columns
WIDTHS = (8, 29, 12, 10, 13)
# above, right, below, left
INDENT = (0, 0, 0, 2)
HINT = 'A row in words, with its gap and cure: compare semantics --explain "SPELLING"'
COLUMNS = ("spelling", "fit", "moving statistics", "gamma, beta", "evaluate", "survives")
SIDES = {"keras": "Keras", "torch": "PyTorch"}


def cells(does: Measured) -> tuple[str, ...]:
    """What a layer does in few words, a cell a column after the spelling's."""
    if does.fit == "raises":
        return "raises", "", "", does.evaluate, ""
    moves = " (and moves them)" if does.evaluate_updates else ""
    return does.fit, _moving(does), _affine(does), does.evaluate + moves, _survives(does.survives)


def _moving(does: Measured) -> str:
    if not does.updates:
        return "kept"
    rule = does.rule
    if rule is None:
        return "updated, by no known rule"
    kept = "cumulative" if rule.decay == "cumulative" else f"keeps {rule.decay}"
    return f"{kept}, {rule.variance}" + (", zero-debiased" if rule.zero_debiased else "")


def _affine(does: Measured) -> str:
    if does.gamma_beta_change:
        return "train"
    return "stay, with a gradient" if does.gamma_beta_gradient else "stay"


def _survives(survives: Mapping[str, bool | None]) -> str:
    lost = [name.replace("_", "/") for name, kept in survives.items() if kept is False]
    return f"not {', '.join(lost)}" if lost else "" if None in survives.values() else "all"


def layer_rows(record: Record) -> list[tuple[Row, Measured]]:
    """The rows that are about a layer, and not about an epoch's loss, with what it does."""
    return [(row, row.does) for row in record.rows if row.does and not row.epoch_loss]


def differing(record: Record, records: Sequence[Record]) -> list[tuple[Row, Measured]]:
    """The rows worth showing: of Keras on another backend those that differ from TensorFlow's, else all."""
    reference = next((other for other in records if other.framework == "keras"), None)
    rows = layer_rows(record)
    if reference is None or record.side != "keras" or record.framework in (None, "keras"):
        return rows
    same = {row.spelling: row.does for row in reference.rows}
    return [(row, does) for row, does in rows if does != same.get(row.spelling)]


def print_records(records: Sequence[Record], whole: Sequence[str], console: Console) -> None:
    """Print a table a record; of Keras on another backend, only the rows that differ.

    Args:
        whole: the frameworks whose rows are wanted all the same.
    """
    for record in records:
        rows = layer_rows(record)
        shown = rows if record.framework in whole else differing(record, records)
        rest = len(rows) - len(shown)
        _print_rows(f"{record.label}: {record.how}", shown, console)
        if rest:
            console.print(Text(f"the other {rest} rows as on TensorFlow", style="dim"))
        for row in record.rows:
            if row.epoch_loss:
                console.print(Text(f"{row.spelling}: {epoch(row)}"))
        console.print()
    if records:
        console.print(Text(HINT))


def _print_rows(title: str, rows: Sequence[tuple[Row, Measured]], console: Console) -> None:
    """Print the rows as a table; where that is too wide for its spellings, each spelling on a line of its own."""
    if console.width >= WIDE:
        table = _table(title, COLUMNS)
        for row, does in rows:
            table.add_row(Text(row.spelling), *cells(does))
        console.print(table)
        return
    console.print(Text(title, style="italic"))
    head = _line()
    head.add_row(*(Text(name, style="bold") for name in COLUMNS[1:]))
    console.print(Padding(head, INDENT))
    for row, does in rows:
        console.print(Text(row.spelling, style="bold cyan"))
        line = _line()
        line.add_row(*map(Text, cells(does)))
        console.print(Padding(line, INDENT))


def _line() -> Table:
    """A row of its own, in columns that all such rows share: those of a table would be as wide as its spellings."""
    line = Table.grid(padding=(0, 1, 0, 0))
    for number, width in enumerate(WIDTHS):
        line.add_column(width=width, min_width=width, overflow="fold" if number else "ellipsis")
    return line


def _table(title: str, columns: Sequence[str]) -> Table:
    """A table without lines between its columns: with them it is too wide for 80 characters."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


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
    for name, kind in (row.epoch_loss or {}).items():
        by_kind.setdefault(kind, []).append(name.replace("_", " "))
    return "; ".join(f"{', '.join(names)}: {kind}" for kind, names in by_kind.items())


def print_timeline(records: Sequence[Record], console: Console) -> None:
    """Print what frozen meant, from the oldest release on."""
    written = "; ".join(f"{SIDES[side]}: {spelling}" for side, spelling in FROZEN.items())
    columns = ("when", "release", "fit", "moving statistics", "evaluate", "how known")
    table = _table(f"What frozen meant ({written})", columns)
    for period in timeline(records):
        fit, moving, _, evaluate, _ = cells(period.does)
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
    said: list[Measured | None] = []
    for record in records:
        row = record.row(spelling)
        if row is None:
            continue
        if row.does in said:
            console.print(Text(f"The same in {record.label}: {record.how}\n"))
            continue
        said.append(row.does)
        console.print(Text(f"{spelling}\n{record.label}: {record.how}", style="bold"))
        console.print(Text(textwrap.indent(row.code.rstrip(), "    ") + "\n"))
        for line in explanation(record, row, others):
            console.print(Text(line))
        console.print()


def print_elsewhere(spelling: str, records: Sequence[Record], console: Console) -> None:
    """Print what the same spelling does in other releases, a line each."""
    for record in records:
        row = record.row(spelling)
        if row and row.does and not row.epoch_loss:
            fit, moving, _, evaluate, _ = cells(row.does)
            text = f"fit {fit}, moving statistics {moving}, evaluate {evaluate}"
            console.print(Text(f"{record.label} ({record.how}): {text}"))


def explanation(record: Record, row: Row, others: Sequence[Record]) -> list[str]:
    """The row in words, its gap, its policy, and the equivalent in the other framework; a line each."""
    lines = [row.note] if row.note else []
    does = row.does
    if does is None or row.epoch_loss:
        return [*lines, epoch(row)]
    lines += [" ".join(sentences(does)), f"Gap: {gap(does)}", _policy(does)]
    policies, but = policy(does)
    side = "torch" if record.side == "keras" else "keras"
    if policies and not but:
        lines.append(f"In {SIDES[side]}: {getattr(policies[0], side)}")
    found = equivalents(does, [other for other in others if other.side == side])
    if found:
        other, same = found[0]
        assert same.does is not None
        rule = "" if same.does.rule == does.rule else f" (moving statistics: {_moving(same.does)})"
        lines.append(f"The same in {other.label}: {same.spelling}{rule}")
        lines.append(textwrap.indent(same.code.rstrip(), "    "))
    elif not policies or but:
        lines.append(f"In {SIDES[side]}: no spelling measured here does all of it")
    return lines


def _policy(does: Measured) -> str:
    policies, but = policy(does)
    if not policies:
        return "Policy: none of this project's"
    names = " or ".join(policy.name for policy in policies)
    return f"Policy: {'near ' if but else ''}{names}{', ' + but if but else ''}; see compare policies"
