"""What a person reads of a cell whose worker died, on a terminal and elsewhere."""

import pytest

from compare.cells.estimate import cost
from compare.cells.progress import showing
from compare.gap.events import Ended, EpochDone, Retried, Started
from compare.spec import Cell
from tests.support.synthetic_run import make_result
from tests.support.terminals import console_of

CELL = Cell("torch", "resnet50", "frozen", "native", 0)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_cell_that_begins_again_is_said_and_ends_once(terminal, colour, monkeypatch):
    console, printed = console_of(colour=colour)
    monkeypatch.setattr(console.file, "isatty", lambda: terminal)
    epoch = EpochDone(1, 2, 0.5, 0.6, 0.7)
    events = (
        Started(),
        epoch,
        Retried("the torch worker died"),
        epoch,
        Ended(make_result("frozen", "torch")),
    )
    with showing(console, [CELL], {CELL: 1}) as on_event:
        for event in events:
            on_event(CELL, event)
    text = printed()
    assert text.count("torch frozen: the torch worker died; it begins again elsewhere") == 1
    assert text.count("[1/1] torch frozen: finished") == 1
    # where colours are forced on a file, as continuous integration and notebooks do, no line is written twice
    assert ("\x1b[2K" in text) == (terminal and colour)


@pytest.mark.parametrize(("first", "is_said"), [("fine-tune", True), ("frozen", False)])
def test_what_is_left_is_estimated_from_cells_that_are_a_part_of_the_work(first, is_said):
    """A frozen cell is a twentieth of the two: its time is that of starting a process."""
    cells = [Cell("torch", "resnet50", policy, "native", 0) for policy in ("fine-tune", "frozen")]
    console, printed = console_of()
    with showing(console, cells, {cell: cost(cell) for cell in cells}) as on_event:
        cell = next(cell for cell in cells if cell.policy == first)
        on_event(cell, Started())
        on_event(cell, Ended(make_result(first, "torch")))
    assert (" left" in printed()) == is_said
