"""What a run will take, said before it starts."""

from dataclasses import replace

import pytest

from compare.cells.estimate import Pace, cost, costs, duration, seconds, sentence
from compare.cells.settings import PRESETS
from compare.spec import DEFAULT_POLICIES, Cell

CELLS = [Cell(f, "resnet50", policy, "native", 0) for f in ("keras", "torch") for policy in DEFAULT_POLICIES]


def test_the_default_run_takes_minutes_and_the_full_one_a_day():
    """Measured: 2 minutes for the one; a day for the other, on two cores."""
    assert 60 < seconds(CELLS, PRESETS["quick"], 10, 0.25, 2) < 400
    assert 10 < seconds(CELLS, PRESETS["full"], 91, 1.0, 2) / 3600 < 50


def test_hours_are_said_with_what_makes_them_fewer():
    assert "make it shorter" not in sentence(CELLS, PRESETS["quick"], 10, 0.25, 2)
    assert sentence(CELLS, PRESETS["full"], 91, 1.0, 2).endswith("--weights pretext make it shorter")


def test_half_the_work_takes_half_as_long():
    whole = seconds(CELLS, PRESETS["quick"], 10, 0.25, 2)
    assert seconds(CELLS, PRESETS["quick"], 5, 0.25, 2) == pytest.approx(whole / 2)
    assert seconds(CELLS, PRESETS["quick"], 10, 0.25, 1) == pytest.approx(whole * 2)
    assert seconds(CELLS[:6], PRESETS["quick"], 10, 0.25, 2) < whole


def keras(policy, seed=0):
    return Cell("keras", "resnet50", policy, "native", seed)


def test_of_cells_that_one_training_serves_one_costs_a_training():
    """As they run: the one that can't follow trains."""
    found = costs(CELLS, PRESETS["quick"])
    dear, cheap = (keras(policy) for policy in ("frozen-drifting", "frozen-batch-stats"))
    assert found[dear] == cost(dear) == cost(cheap) > 3 * found[cheap]
    assert found[keras("fine-tune")] == cost(keras("fine-tune"))
    early = replace(PRESETS["quick"], patience=5)
    assert costs(CELLS, early) == {cell: cost(cell) for cell in CELLS}


def test_what_is_left_goes_by_what_cells_took_each_by_itself():
    """Cells on two workers, which take twice as many seconds as they cost."""
    long, short, other = keras("fine-tune"), keras("frozen"), keras("features")
    pace = Pace({long: 40, short: 3, other: 3})
    pace.begin(long, 0)
    pace.begin(short, 0)
    pace.end(short, 6, well=True)
    assert pace.left(6) is None
    pace.end(long, 80, well=True)
    assert pace.left(80) == pytest.approx(6)
    pace.begin(other, 80)
    assert pace.left(82) == pytest.approx(4)
    pace.reach(other, 0.75)
    assert pace.left(83) == pytest.approx(1.5)
    pace.end(other, 86, well=True)
    assert pace.left(86) is None


def test_short_cells_at_the_end_of_a_run_are_not_said_to_take_minutes():
    """Four of a kind that took a second each, after long ones of another framework."""
    ended = [keras("fine-tune"), Cell("torch", "resnet50", "frozen", "native", 0)]
    short = [Cell("torch", "resnet50", "frozen", "native", seed) for seed in range(1, 5)]
    pace = Pace({ended[0]: 40, **dict.fromkeys([ended[1], *short], 1)})
    for cell, took in zip(ended, (400, 1), strict=True):
        pace.begin(cell, 0)
        pace.end(cell, took, well=True)
    assert pace.left(400) == pytest.approx(4)


def test_a_cell_that_failed_tells_nothing_of_others():
    cells = [keras("fine-tune", seed) for seed in range(3)]
    pace = Pace(dict.fromkeys(cells, 40))
    for cell, took, well in ((cells[0], 1, False), (cells[1], 90, True)):
        pace.begin(cell, 0)
        pace.end(cell, took, well)
    assert pace.left(100) == pytest.approx(90)


@pytest.mark.parametrize(
    ("of", "said"), [(3, "10 seconds"), (44, "40 seconds"), (130, "2 minutes"), (9000, "2 hours")]
)
def test_a_duration_is_said_as_a_person_says_it(of, said):
    assert duration(of) == said
