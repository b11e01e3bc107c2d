"""How a run goes, while it goes: a live line a running cell on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeRemainingColumn

from compare.cells.estimate import Pace, duration
from compare.gap.events import Ended, EpochDone, Event, Retried, Started, StepDone
from compare.gap.records import CellResult
from compare.spec import Cell


@contextmanager
def showing(
    console: Console, cells: Sequence[Cell], left: Mapping[Cell, float]
) -> Iterator[Callable[[Cell, Event], None]]:
    """Show the events of cells that the yielded function is called with.

    Args:
        console: where; whether somebody looks at it as it goes decides how.
        cells: all of the run's.
        left: those of them that aren't finished already, and what each costs: `estimate.costs`.
    """
    lines = _Lines(console, cells, left)
    if (
        not console.file.isatty()
    ):  # colours may be asked for elsewhere, too; lines that move make no sense there
        yield lines
        return
    losses = TextColumn("fit {task.fields[fit]}  evaluate {task.fields[evaluate]}")
    columns = (TextColumn("{task.description}"), TextColumn("{task.fields[place]}"), losses)
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console) as live:
        yield _Live(lines, live)


class _Lines:
    """A plain line for every epoch and for every cell that ends."""

    def __init__(self, console: Console, cells: Sequence[Cell], left: Mapping[Cell, float]) -> None:
        self.console, self.total = console, len(cells)
        self.pace = Pace(left)
        self.several = [name for name in ("numerics", "seed") if len({getattr(c, name) for c in cells}) > 1]

    def __call__(self, cell: Cell, event: Event) -> None:
        self.time(cell, event)
        if isinstance(event, EpochDone):
            losses = f"fit loss {event.fit_loss:.3f}, evaluate loss {event.evaluate_loss:.3f}"
            self.say(f"{self.label(cell)}: epoch {event.epoch}/{event.epochs}, {losses}")
        elif isinstance(event, Retried):
            self.retry(cell, event)
        elif isinstance(event, Ended):
            self.end(cell, event.result)

    def time(self, cell: Cell, event: Event) -> None:
        """Take the time of what has happened."""
        now = time.monotonic()
        if isinstance(event, Started | Retried):
            self.pace.begin(cell, now)
        elif isinstance(event, EpochDone):
            self.pace.reach(cell, event.epoch / event.epochs)
        elif isinstance(event, Ended):
            self.pace.end(cell, now, event.result.finished)

    def retry(self, cell: Cell, event: Retried) -> None:
        self.say(f"{self.label(cell)}: {event.reason}; it begins again elsewhere")

    def end(self, cell: Cell, result: CellResult) -> None:
        ended = result.ending
        if result.history:
            last = result.history[-1]
            ended += f", fit loss {last.fit['loss']:.3f}, evaluate loss {last.evaluate['loss']:.3f}"
        self.say(
            f"[{self.total - len(self.pace.waiting)}/{self.total}] {self.label(cell)}: {ended}{self.remaining()}"
        )

    def remaining(self) -> str:
        """Say how long the rest takes, as far as the cells that have ended tell."""
        left = self.pace.left(time.monotonic())
        return "" if left is None else f"; about {duration(left)} left"

    def label(self, cell: Cell) -> str:
        """Name a cell by what it doesn't share with all others."""
        values = {"numerics": cell.numerics, "seed": f"seed {cell.seed}"}
        return " ".join([cell.framework, cell.policy, *(values[name] for name in self.several)])

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Live:
    """A line for each cell that is running; a cell that ends leaves a plain one above."""

    def __init__(self, lines: _Lines, live: Progress) -> None:
        self.lines, self.live = lines, live
        self.tasks: dict[Cell, TaskID] = {}

    def __call__(self, cell: Cell, event: Event) -> None:
        self.lines.time(cell, event)
        if isinstance(event, Started):
            label = self.lines.label(cell)
            self.tasks[cell] = self.live.add_task(label, total=None, place="starting", fit="-", evaluate="-")
        elif isinstance(event, StepDone):
            self.step(self.tasks[cell], event)
        elif isinstance(event, EpochDone):
            fit, evaluate = f"{event.fit_loss:.3f}", f"{event.evaluate_loss:.3f}"
            self.live.update(self.tasks[cell], fit=fit, evaluate=evaluate)
        elif isinstance(event, Retried):
            self.live.update(self.tasks[cell], place="starting again", fit="-", evaluate="-")
            self.lines.retry(cell, event)
        elif isinstance(event, Ended):
            self.live.remove_task(self.tasks.pop(cell))
            self.lines.end(cell, event.result)

    def step(self, task: TaskID, event: StepDone) -> None:
        place = f"epoch {event.epoch}/{event.epochs}, step {event.step}/{event.steps}"
        total, completed = event.epochs * event.steps, (event.epoch - 1) * event.steps + event.step
        self.live.update(task, total=total, completed=completed, place=place, fit=f"{event.fit_loss:.3f}")
