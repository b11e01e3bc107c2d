"""The check as a tree in the terminal, with the place where it departs marked, and two files as a table."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from compare.frameworks import labels
from compare.parity.certificate import Result
from compare.parity.figures import Distance, Stage, Verdict
from compare.parity.stages import STAGES

STYLES = {"same": "green", "explained": "cyan", "differs": "bold red", "follows": "yellow"}
HERE = "<-- here"
# layers around the place that are shown, and lines of a stage's notes
MOST = 8
# arrays of two files that are shown
MOST_ARRAYS = 20
# columns of a terminal from which on a table of two files shows all figures
WIDE = 110


def print_result(result: Result, console: Console) -> None:
    """Print a tree for each policy."""
    check = result.check
    one, other = labels(check.frameworks)
    variant = f" {check.variant}" if check.backbone == "resnet50" else ""
    for policy, stages in result.stages.items():
        title = (
            f"{one} and {other}: {check.backbone}{variant}, width {check.width:g}, {policy}, {check.optimizer}, "
            f"{check.numerics} numerics, {check.dtype}, {check.image_size} px"
        )
        tree = Tree(Text(title, style="bold"))
        for stage in stages:
            add(tree, stage, STAGES[stage.name])
        console.print(tree)
        console.print(Text(verdict(stages), style="bold"))
        console.print()


def verdict(stages: list[Stage]) -> str:
    """The answer in one line."""
    first = next((stage for stage in stages if stage.verdict == Verdict.DIFFERS), None)
    if first:
        return f"differs at {STAGES[first.name]}: {first.place}"
    if any(stage.verdict == Verdict.EXPLAINED for stage in stages):
        return "same function, but for the frameworks' defaults; what those explain leaves rounding alone"
    return "same function"


def add(tree: Tree, stage: Stage, name: str) -> None:
    """Add a stage: its verdict, its worst row, its notes, and the rows around the place where it departs."""
    head = Text(f"{name:32} ")
    head.append(f"{stage.verdict:10}", style=STYLES[stage.verdict])
    worst = stage.worst
    if worst:
        head.append(f" {figure(worst)}")
    branch = tree.add(head)
    for note in stage.notes[:MOST]:
        branch.add(Text(note))
    if len(stage.notes) > MOST:
        branch.add(Text(f"... and {len(stage.notes) - MOST} more", style="dim"))
    if stage.verdict in (Verdict.DIFFERS, Verdict.FOLLOWS):
        for row in _around(stage):
            here = row.name == stage.place
            line = Text(f"{row.name:36} {row.relative:.1e}  {_kind(row)}", style="" if row.same else "red")
            branch.add(line.append(f"  {HERE}" if here else "", style="bold red"))


def figure(row: Distance) -> str:
    """A stage's worst row in words."""
    text = f"{row.relative:.1e} of {row.bar:.1e} ({row.ulp:.3g} ulp) at {row.name}"
    if row.difference is not None:
        text += f", {row.difference:.1e} before the defaults' terms"
    if row.keras_ulp is not None and row.torch_ulp is not None:
        text += f"; from float64: Keras {row.keras_ulp:.3g}, PyTorch {row.torch_ulp:.3g} ulp"
    if row.step and not row.name.startswith("step"):
        text += f", step {row.step}"
    if row.twin is not None and "twin" not in row.note:
        text += f", a twin {row.twin:.1e}"
    return f"{text}, {row.note}" if row.note else text


def _around(stage: Stage) -> list[Distance]:
    names = [row.name for row in stage.rows]
    if stage.place not in names:
        return []
    at = names.index(stage.place)
    return stage.rows[max(0, at - 2) : at + MOST - 2]


def _kind(row: Distance) -> str:
    if row.same or row.introduced is None:
        return ""
    return "introduced here" if row.introduced else "inherited"


def print_files(stage: Stage, console: Console) -> None:
    """Print a table of two files' arrays, those that differ and those that are nearest to it first."""
    wide = console.width >= WIDE
    columns = ("max abs", "relative", *(("mean", "cosine") if wide else ()), "within")
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("array", overflow="fold", ratio=1)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    rows = sorted(stage.rows, key=lambda row: (row.same, -row.excess, -row.max_abs))
    for row in rows[:MOST_ARRAYS]:
        more = (f"{row.mean:.1e}", f"{row.cosine:.9f}") if wide else ()
        figures = (f"{row.max_abs:.1e}", f"{row.relative:.1e}", *more, f"{row.share:.2%}")
        mark = HERE if row.name == stage.place else row.note
        cells = [Text(text) for text in (row.name, *figures, mark)]
        table.add_row(*cells, style="" if row.same else "red")
    console.print(table)
    if rest := rows[MOST_ARRAYS:]:
        worse = sum(not row.same for row in rest)
        what = f"{worse} of them differ" if worse else "all within their bars"
        console.print(Text(f"and {len(rest)} more, {what}; --json has them"))
    _notes(stage, console)
    exact = sum(getattr(row, "exact", row.max_abs == 0) for row in stage.rows)
    where = f" at {stage.place}" if stage.place else ""
    answer = "same" if stage.verdict == Verdict.SAME else f"differs{where}"
    console.print(Text(f"{answer}: {len(stage.rows)} arrays, {exact} of them bit for bit", style="bold"))


def _notes(stage: Stage, console: Console) -> None:
    for note in stage.notes[:MOST]:
        console.print(Text(note))
    if len(stage.notes) > MOST:
        console.print(Text(f"... and {len(stage.notes) - MOST} more", style="dim"))
