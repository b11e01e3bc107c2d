"""What a run will take, said before it starts."""

import pytest

from compare.cells.estimate import duration, seconds, sentence
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


@pytest.mark.parametrize(
    ("of", "said"), [(3, "10 seconds"), (44, "40 seconds"), (130, "2 minutes"), (9000, "2 hours")]
)
def test_a_duration_is_said_as_a_person_says_it(of, said):
    assert duration(of) == said
