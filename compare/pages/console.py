"""Sentences for the terminal, in its colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.status import Status
from rich.table import Column, Table
from rich.text import Text

from compare.pages.saying import to_nowhere
from compare.words import Span, Tone

# columns of a terminal that what may be broken anywhere, such as a line of code, needs to be read
BROKEN = 16
STYLES: dict[Tone, str] = {"": "", "worse": "bold red", "well": "green"}


class Output(Console):
    """A console that moves nothing where nobody looks, and goes on when its reader has gone, as `head` does."""

    def status(self, status: RenderableType, **how: Any) -> Status:
        """Show on a terminal what is being done; elsewhere nothing, though colours may be forced there."""
        if self.file.isatty():
            return super().status(status, **how)
        return Console(quiet=True).status(status, **how)

    def on_broken_pipe(self) -> None:
        """Send what is still to be said nowhere; rich's own would end the process."""
        self.quiet = True
        to_nowhere(self.file)


def coloured(sentence: Iterable[Span]) -> Text:
    """A sentence as text; nothing in it is taken for markup."""
    return Text.assemble(*((span.text, STYLES[span.tone]) for span in sentence))


def fitting(table: Table, console: Console) -> RenderableType:
    """A table; where the console is too narrow for its words, a list: a row's first cell, and the others below it."""
    borders = 3 * len(table.columns) + 1
    if borders + sum(_least(column, console) for column in table.columns) <= console.width:
        return table
    lines: list[RenderableType] = [Text(str(table.title))]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        lines += [cells[0]] if cells[0] else []
        for column, cell in zip(table.columns[1:], cells[1:], strict=True):
            named = [Text(f"{column.header}:"), cell] if table.show_header else [cell]
            line = Table.grid(*(Column(overflow="fold") for _ in named), padding=(0, 1, 0, 0))
            line.add_row(*named)
            lines.append(Padding(line, (0, 0, 0, 2)))
    return Group(*lines, *([Text(str(table.caption))] if table.caption else []))


def _least(column: Column, console: Console) -> int:
    """How many columns of the terminal a table's column needs for none of its words to be cut."""
    wide = console.options.update(max_width=10_000)
    sizes = [console.measure(cell, options=wide) for cell in (column.header, *column.cells)]
    least = max(size.maximum if column.no_wrap else size.minimum for size in sizes)
    return min(least, BROKEN) if column.overflow == "fold" else least
