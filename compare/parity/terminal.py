"""The check as a tree in the terminal, with the place where it departs marked, and two files as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from compare.parity.certificate import Result
from compare.parity.figures import Row, Stage
from compare.parity.stages import STAGES

STYLES = {"same": "green", "explained": "cyan", "differs": "bold red", "follows": "yellow"}
HERE = "<-- here"
MOST = 8  # layers around the place that are shown, and lines of a stage's notes


def print_result(result: Result, console: Console) -> None:
    """Print a tree for each policy."""
    check = result.check
    variant = f" {check.variant}" if check.backbone == "resnet50" else ""
    for policy, stages in result.stages.items():
        title = (
            f"{check.backbone}{variant}, width {check.width:g}, {policy}, {check.optimizer}, "
            f"{check.numerics} numerics, {check.dtype}, {check.image_size} px"
        )
        tree = Tree(Text(title, style="bold"))
        for stage in stages:
            _branch(tree, stage)
        console.print(tree)
        console.print(Text(verdict(stages), style="bold"))
        console.print()


def verdict(stages: list[Stage]) -> str:
    """The answer in one line."""
    first = next((stage for stage in stages if stage.verdict == "differs"), None)
    if first:
        return f"differs at {STAGES[first.name]}: {first.place}"
    if any(stage.verdict == "explained" for stage in stages):
        return "same function, but for the frameworks' defaults; what those explain leaves rounding alone"
    return "same function"


def _branch(tree: Tree, stage: Stage) -> None:
    head = Text(f"{STAGES[stage.name]:32} ")
    head.append(f"{stage.verdict:10}", style=STYLES[stage.verdict])
    worst = stage.worst
    if worst:
        head.append(f" {figure(worst)}")
    branch = tree.add(head)
    for note in stage.notes[:MOST]:
        branch.add(Text(note))
    if len(stage.notes) > MOST:
        branch.add(Text(f"... and {len(stage.notes) - MOST} more", style="dim"))
    if stage.verdict in ("differs", "follows"):
        for row in _around(stage):
            here = row.name == stage.place
            line = Text(f"{row.name:36} {row.relative:.1e}  {_kind(row)}", style="" if row.same else "red")
            branch.add(line.append(f"  {HERE}" if here else "", style="bold red"))


def figure(row: Row) -> str:
    """A stage's worst row in words."""
    text = f"{row.relative:.1e} of {row.bar:.1e} ({row.ulp:.1f} ulp) at {row.name}"
    if row.difference is not None:
        text += f", {row.difference:.1e} before the defaults' terms"
    if row.keras_ulp is not None and row.torch_ulp is not None:
        text += f"; from float64: Keras {row.keras_ulp:.1f}, PyTorch {row.torch_ulp:.1f} ulp"
    if row.step and not row.name.startswith("step"):
        text += f", step {row.step}"
    return f"{text}, {row.note}" if row.note else text


def _around(stage: Stage) -> list[Row]:
    names = [row.name for row in stage.rows]
    if stage.place not in names:
        return []
    at = names.index(stage.place)
    return stage.rows[max(0, at - 2) : at + MOST - 2]


def _kind(row: Row) -> str:
    if row.same or row.introduced is None:
        return ""
    return "introduced here" if row.introduced else "inherited"


def print_files(stage: Stage, console: Console) -> None:
    """Print the table of two files' arrays, those that differ first."""
    table = Table("array", "max abs", "max relative", "mean", "cosine", "within", "")
    for row in sorted(stage.rows, key=lambda row: row.same):
        apart = [f"{value:.1e}" for value in (row.max_abs, row.relative, row.mean)]
        figures = [*apart, f"{row.cosine:.9f}", f"{row.share:.2%}"]
        mark = HERE if row.name == stage.place else row.note
        table.add_row(row.name, *figures, mark, style="" if row.same else "red")
    console.print(table)
    for note in stage.notes:
        console.print(Text(note))
    exact = sum(row.max_abs == 0 for row in stage.rows)
    where = f" at {stage.place}" if stage.place else ""
    answer = "same" if stage.verdict == "same" else f"differs{where}"
    console.print(Text(f"{answer}: {len(stage.rows)} arrays, {exact} of them bit for bit", style="bold"))
