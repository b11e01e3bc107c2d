"""A run's results for the terminal: what a person came for, and a row a policy with the frameworks side by side."""

from __future__ import annotations

from rich.console import Console
from rich.console import Group as Lines
from rich.table import Table as Grid
from rich.text import Text

from compare.frameworks import FRAMEWORKS
from compare.gap.records import METRICS, Metric
from compare.pages.console import STYLES, coloured, fitting
from compare.report import comparison
from compare.report.answer import answer, cures, headlines
from compare.report.comparison import Comparison, Line
from compare.report.rows import Entry, Table, sentences
from compare.spec import SIDES
from compare.verdict.cures import Cure
from compare.verdict.figures import Figures
from compare.words import points, signed

# Below this width (a policy's name, two frameworks, some 20 columns of words) the sentences stand under the table.
WIDE = 100
WORDS = 18  # columns that the sentences need at least to stand in the table
FRAME = 3  # of a column: its border and a space on either side
GAP_IS = "gap: evaluate minus fit on the same samples, last epoch"


def print_results(tables: list[Table], console: Console) -> None:
    """Print what the tables come to, and each of them.

    Args:
        tables: a run's.
        console: its width decides whether the sentences stand in the table or under it.
    """
    for table in tables:
        if len(tables) > 1:
            console.print(Text(table.heading, style="bold"))
        for line in headlines(table):
            console.print(coloured(line.says))
            if line.why:
                console.print(Text(f"  {line.why}"))
        console.print()
        for frameworks in _beside(table, console):
            console.print(_grid(table, frameworks, console))
        if not _has_room(table, console):
            console.print(_sentences(table, _is_narrow(table, console)))
        console.print()
        for sentence in answer(table):
            console.print(Text(sentence))
        for cure, policies in cures(table):
            console.print(_cure(cure, policies))


def print_comparison(compared: Comparison, console: Console) -> None:
    """Print the last epoch's gap under each policy, a column a run, and what that comes to."""
    table = Grid(
        title="Gap in loss, and in points of accuracy",
        caption=GAP_IS,
        title_justify="left",
        caption_justify="left",
    )
    for column in ("policy", "framework"):
        table.add_column(column, no_wrap=True)
    for name in compared.names:
        table.add_column(Text(name), overflow="fold")
    for line in compared.lines:
        cells = [_change(line, place) for place in range(len(compared.runs))]
        framework = compared.labels[line.framework]
        table.add_row(Text(comparison.policy_of(compared, line)), framework, *cells)
    console.print(fitting(table, console))
    for sentence in comparison.answer(compared):
        console.print(Text(sentence))


def _change(line: Line, run: int) -> Text:
    loss, accuracy = line.gap(run), line.gap(run, "accuracy")
    if loss is None or accuracy is None:
        entry = line.entries[run]
        return Text(entry.failure if entry else "not run", style="red" if entry else "dim")
    gap_in = line.gap_in(run)
    worse = {metric: STYLES["worse"] if metric == gap_in else "" for metric in METRICS}
    hidden = "hidden " if line.finding(run) == "hidden" else ""
    return Text.assemble(
        (hidden, STYLES["worse"]),
        (signed(loss.mean), worse["loss"]),
        "  ",
        (signed(points(accuracy.mean), 0), worse["accuracy"]),
    )


def _cure(cure: Cure, policies: dict[str, list[str]]) -> Lines:
    """What to do, for which policies, and what to write on each side that has the gap."""
    sides = {FRAMEWORKS[name].side for own in policies.values() for name in own}
    head = Text(f"To {cure.what} ({', '.join(policies)}):", style="bold")
    return Lines(head, *(Text(f"  {SIDES[side]}: {cure.line[side]}") for side in SIDES if side in sides))


def _arrow(console: Console) -> str:
    return "→" if console.encoding.startswith("utf") else "->"


def _width(table: Table, framework: str, arrow: str) -> int:
    """How wide a framework's figures are."""
    own = [row[framework] for row in table.rows.values() if framework in row]
    return max(line.cell_len for entry in own for line in [_head(arrow), *_lines(entry, arrow)])


def _left(table: Table, console: Console) -> int:
    """How many columns are left beside the policies' names, or under them."""
    names = 0 if _is_narrow(table, console) else max(map(len, table.rows)) + FRAME
    return console.width - 1 - names


def _is_narrow(table: Table, console: Console) -> bool:
    """Whether a policy's name has no room beside a framework's figures, so that it stands above them."""
    figures = max(_width(table, framework, _arrow(console)) for framework in table.frameworks)
    return console.width < 1 + max(map(len, table.rows)) + FRAME + figures + FRAME


def _beside(table: Table, console: Console) -> list[list[str]]:
    """Deal the frameworks to as many tables as it takes for none to be cut off."""
    tables: list[list[str]] = [[]]
    left = _left(table, console)
    for framework in table.frameworks:
        width = _width(table, framework, _arrow(console)) + FRAME
        if tables[-1] and width > left:
            tables.append([])
            left = _left(table, console)
        tables[-1].append(framework)
        left -= width
    return tables


def _has_room(table: Table, console: Console) -> bool:
    """Whether the sentences have room in the table."""
    widths = sum(_width(table, framework, _arrow(console)) + FRAME for framework in table.frameworks)
    return console.width >= WIDE and _left(table, console) - widths - FRAME >= WORDS


def _grid(table: Table, frameworks: list[str], console: Console) -> Grid:
    """Build the table; in a framework's column: loss, then accuracy in percent, then a failure."""
    arrow = _arrow(console)
    grid = Grid(
        title=Text(f"{table.heading}: loss, and accuracy in percent"),
        caption=_caption(table),
        title_justify="left",
        caption_justify="left",
    )
    narrow = _is_narrow(table, console)
    if not narrow:
        grid.add_column("policy", no_wrap=True)
    for framework in frameworks:
        width = _width(table, framework, arrow)
        grid.add_column(Text(f"{table.labels[framework]}\n").append_text(_head(arrow)), width=width)
    wide = _has_room(table, console)
    if wide:
        grid.add_column("in words", ratio=1)
    for name, row in table.rows.items():
        figures = [_figures(row.get(framework), arrow) for framework in frameworks]
        line = [Lines(Text(name), cell) for cell in figures] if narrow else [Text(name), *figures]
        if wide:
            line.append(_words(table, name))
        grid.add_row(*line, end_section=True)
    return grid


def _caption(table: Table) -> Text:
    seeds = f"averages of {table.seeds} seeds; " if table.seeds > 1 else ""
    return Text(f"{seeds}{GAP_IS}; mean: over the epochs")


def _figures(entry: Entry | None, arrow: str):
    if entry is None:
        return Text("not run", style="dim")
    failure = [Text(entry.failure, style="red")] if entry.failure else []
    return Lines(*_lines(entry, arrow), *failure)


def _head(arrow: str) -> Text:
    return Text(f"{'fit':>4} {arrow} eval   gap  mean", style="not bold dim")


def _lines(entry: Entry, arrow: str) -> list[Text]:
    if entry.judgement is None:
        return []
    figures = entry.judgement.figures
    return [
        _line(entry, figures, "loss", 1, "4.2f", 2, arrow),
        _line(entry, figures, "accuracy", 100, "4.0f", 0, arrow),
    ]


def _line(
    entry: Entry, figures: Figures, metric: Metric, unit: int, width: str, digits: int, arrow: str
) -> Text:
    fit, evaluate = unit * entry.ending("fit", metric), unit * entry.ending("evaluate", metric)
    line = Text(f"{fit:{width}} {arrow} {evaluate:{width}}", no_wrap=True)
    for gap in (figures.gap(metric), figures.mean_gap(metric)):
        line.append(f" {signed(unit * gap, digits):>5}", style=STYLES[figures.tone(gap, metric)])
    return line


def _words(table: Table, policy: str) -> Text:
    return Text("\n").join(coloured(sentence) for sentence in sentences(table.rows[policy], table.labels))


def _sentences(table: Table, narrow: bool) -> Grid:
    """What each policy comes to in words: beside its name, or under it where there is no room beside it."""
    grid = Grid.grid(padding=(0, 1))
    if not narrow:
        grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for policy in table.rows:
        name, words = Text(f"{policy}:"), _words(table, policy)
        grid.add_row(*([Lines(name, words)] if narrow else [name, words]))
    return grid
