"""A run's results as a table for the terminal, a row a policy and the frameworks side by side."""

from __future__ import annotations

from rich.console import Console
from rich.console import Group as Lines
from rich.table import Table
from rich.text import Text

from compare.report import comparison
from compare.report.comparison import Comparison, Line
from compare.spec import FRAMEWORKS, NAMES, POLICIES
from compare.verdict import with_terms as verdict
from compare.verdict.answer import answer
from compare.verdict.cures import Cure
from compare.verdict.explained import Metric
from compare.verdict.figures import Figures, Group, groups
from compare.verdict.finding import GAP
from compare.verdict.words import heading, signed

# Below this width (a policy's name, two frameworks, some 20 columns of words) the sentences stand under the table.
WIDE = 100
GAP_IS = "gap: evaluate minus fit on the same samples, last epoch"


def print_results(config: dict, cells: list[dict], console: Console) -> None:
    """Print a table for each backbone and numerics among the cells, and what it comes to.

    Args:
        config: the run's ``config.json``.
        cells: the ``cell.json`` of each cell.
        console: its width decides whether the sentences stand in the table or under it.
    """
    for group in groups(config, cells):
        console.print(_table(group, console))
        if console.width < WIDE:
            console.print(_sentences(group))
        console.print()
        for line in answer(group):
            console.print(Text(line))
        for cure, policies in verdict.remedies(group):
            console.print(_cure(cure, policies))


def print_comparison(compared: Comparison, console: Console) -> None:
    """Print the last epoch's gap under each policy, a column a run, and what that comes to."""
    table = Table(
        title="Gap in loss, and in points of accuracy",
        caption=GAP_IS,
        title_justify="left",
        caption_justify="left",
    )
    for column in ("policy", "framework"):
        table.add_column(column, no_wrap=True)
    for name in compared.names:
        table.add_column(Text(name, overflow="fold"))
    for line in compared.lines:
        cells = [_change(line, place) for place in range(len(compared.runs))]
        table.add_row(Text(comparison.policy_of(compared, line)), NAMES[line.framework], *cells)
    console.print(table)
    for sentence in comparison.answer(compared):
        console.print(Text(sentence))


def _change(line: Line, run: int) -> Text:
    loss, accuracy = line.gap(run), line.gap(run, "accuracy")
    if loss is None or accuracy is None:
        figures = line.figures[run]
        return Text(figures.failure if figures else "not run", style="red" if figures else "dim")
    style = "" if line.found(run) == "none" else "bold red"
    return Text(f"{signed(loss.mean)}  {signed(100 * accuracy.mean, 0)}", style=style)


def _cure(cure: Cure, policies: dict[str, list[str]]) -> Lines:
    """What to do, for which policies, and what to write in each framework that has the gap."""
    frameworks = sorted({name for own in policies.values() for name in own}, key=FRAMEWORKS.index)
    head = Text(f"To {cure.what} ({', '.join(policies)}):", style="bold")
    return Lines(head, *(Text(f"  {NAMES[name]}: {cure.line[name]}") for name in frameworks))


def _table(group: Group, console: Console) -> Table:
    """Build the table; in a framework's column: loss, then accuracy in percent, then a failure."""
    arrow = "→" if console.encoding.startswith("utf") else "->"
    table = Table(title=_title(group), caption=_caption(group), title_justify="left", caption_justify="left")
    table.add_column("policy", no_wrap=True)
    for framework in group.frameworks:
        own = [row[framework] for row in group.rows.values() if framework in row]
        width = max(line.cell_len for figures in own for line in [_head(arrow), *_lines(figures, arrow)])
        table.add_column(Text(f"{NAMES[framework]}\n").append_text(_head(arrow)), width=width)
    if console.width >= WIDE:
        table.add_column("in words", ratio=1)
    for name, row in group.rows.items():
        line = [Text(name), *(_figures(row.get(framework), arrow) for framework in group.frameworks)]
        if console.width >= WIDE:
            line.append(_words(group, name))
        table.add_row(*line, end_section=True)
    return table


def _title(group: Group) -> Text:
    return Text(f"{heading(group.backbone, group.numerics, group.release)}: loss, and accuracy in percent")


def _caption(group: Group) -> Text:
    seeds = f"averages of {group.seeds} seeds; " if group.seeds > 1 else ""
    return Text(f"{seeds}{GAP_IS}; mean: over the epochs")


def _figures(figures: Figures | None, arrow: str):
    if figures is None:
        return Text("not run", style="dim")
    failure = [Text(figures.failure, style="red")] if figures.failure else []
    return Lines(*_lines(figures, arrow), *failure)


def _head(arrow: str) -> Text:
    return Text(f"{'fit':>4} {arrow} eval   gap  mean", style="not bold dim")


def _lines(figures: Figures, arrow: str) -> list[Text]:
    if not figures.finished:
        return []
    return [_line(figures, "loss", 1, "4.2f", 2, arrow), _line(figures, "accuracy", 100, "4.0f", 0, arrow)]


def _line(figures: Figures, metric: Metric, unit: int, width: str, digits: int, arrow: str) -> Text:
    fit, evaluate = unit * figures.last("fit", metric), unit * figures.last("evaluate", metric)
    line = Text(f"{fit:{width}} {arrow} {evaluate:{width}}", no_wrap=True)
    worse = 1 if metric == "loss" else -1
    for gap in (figures.gap(metric), figures.mean_gap(metric)):
        style = "bold red" if not worse * gap <= GAP else "green" if worse * gap < -GAP else ""
        line.append(f" {signed(unit * gap, digits):>5}", style=style)
    return line


def _words(group: Group, policy: str) -> Text:
    text = Text("\n".join(verdict.sentences(POLICIES[policy], group)))
    text.highlight_regex(r"(?<!no )(?<!no BN )\b(hidden )?gap(?! measured)", "bold red")
    text.highlight_regex(r"\bno (BN, no BN )?gap\b", "green")
    return text


def _sentences(group: Group) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for policy in group.rows:
        grid.add_row(Text(f"{policy}:"), _words(group, policy))
    return grid
