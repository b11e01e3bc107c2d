"""The map and the verdict in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from compare.pages.console import fitting
from compare.pair.arrays import Left, Map
from compare.pair.asked import STAGES, Outcome
from compare.parity.terminal import add
from compare.spec import SIDES


def print_map(found: Map, console: Console) -> None:
    """Print a table of arrays, and what is left."""
    table = Table(*(Column(name, overflow="fold") for name in ("Keras", "PyTorch", "layout", "why")))
    for binding in found.bindings:
        part = "" if binding.part is None else f" (part of {binding.part.size})"
        cells = (binding.keras, binding.torch + part, binding.layout.name, binding.why)
        table.add_row(*map(Text, cells))
    console.print(fitting(table, console))
    print_left(found, console)


def print_left(found: Map, console: Console) -> None:
    """Print arrays without a partner, each with the reason."""
    for one in found.left:
        console.print(Text(left(one), style="yellow" if one.cause or one.candidates else ""))


def left(one: Left) -> str:
    """Say why an array has no partner."""
    line = f"left in {SIDES[one.side]}: {one.name}: {one.reason}"
    return f"{line}; it could be {', '.join(one.candidates)}" if one.candidates else line


def remarks(outcome: Outcome) -> list[str]:
    """What else is to be said of a check."""
    return [*outcome.notes, *(f"predicted and taken out: {line}" for line in outcome.native)]


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print the stages as a tree, and the verdict."""
    tree = Tree(Text("Keras and PyTorch", style="bold"))
    for stage in outcome.stages:
        add(tree, stage, STAGES[stage.name])
    console.print(tree)
    print_left(outcome.map, console)
    for line in remarks(outcome):
        console.print(Text(line))
    for line in sentences(outcome):
        console.print(Text(line, style="bold"))


def sentences(outcome: Outcome) -> list[str]:
    """The verdict in words, and the line that mends."""
    if outcome.verdict == "unmapped":
        return ["unmapped: write what can't be decided into a file and give it with --map"]
    first = outcome.first
    if first is None:
        return ["same: both compute and train the same function"]
    place = f"{first.keras or 'the optimizer'} ({first.torch or 'PyTorch has nothing there'})"
    lines = [f"differs at {STAGES[first.stage]}, {place}: {first.cause}: {first.text}"]
    return [*lines, f"to mend it: {first.code}"] if first.code else lines
