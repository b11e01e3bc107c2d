"""Every cell of every table: a framework that does what the row says is read so, and one flipped fact is caught."""

from dataclasses import replace

import numpy as np
import pytest

from compare.gap.observed import Step, normalised_with
from compare.semantics.experiment import measure
from compare.semantics.record import Record, differences, read, releases
from compare.semantics.row import Measured, Row
from compare.semantics.spelling import IMAGES
from tests.support.fake_batch_norm import FakeSubject, cells, flipped

# rows that do the same are one: what is told from a layer's numbers doesn't depend on what it is called
ROWS = list(
    {
        repr(row.does): (release, row)
        for release in releases()
        for row in read(release).rows
        if not row.epoch_loss
    }.values()
)
FLIPS = [(release, row, cell) for release, row in ROWS for cell in cells(row.does)]
# the cells that a flip of one changes, where it's more than that one
TOGETHER = {"updates": {"updates", "decay", "variance", "zero_debiased"}}


def measured(does, row):
    """The record that a framework gives that does this, with one row."""
    found, _ = measure(FakeSubject(does), IMAGES)
    return Record("fake", {}, "", [replace(row, does=found)], measured=True)


def names(does, row):
    recorded = Record("recorded", {}, "", [row])
    return {line.split(": ")[-2] for line in differences(recorded, measured(does, row))}


def name(value):
    return value.spelling if isinstance(value, Row) else str(value)


@pytest.mark.parametrize(("release", "row"), ROWS, ids=name)
def test_a_framework_that_does_what_the_row_says_is_read_so(release, row):
    assert differences(Record(release, {}, "", [row]), measured(row.does, row)) == []


@pytest.mark.parametrize(("release", "row", "cell"), FLIPS, ids=name)
def test_a_framework_with_one_fact_flipped_is_caught(release, row, cell):
    found = names(flipped(row.does, cell), row)
    if row.does.fit == "raises":
        assert "fit" in found if cell == "fit" else found == {cell}
    else:
        assert found == TOGETHER.get(cell, {cell})


def test_there_is_a_flip_for_every_fact():
    assert {cell for _, _, cell in FLIPS} >= {
        "fit", "updates", "decay", "variance", "zero_debiased", "gamma_beta_gradient", "gamma_beta_change",
        "evaluate", "evaluate_updates", "survives compile", "survives fit", "survives save_load", "survives train()",
    }  # fmt: skip


def test_another_epsilon_is_neither():
    subject = FakeSubject(Measured("moving", False, None, False, False, "moving", {}))
    x = np.random.default_rng(0).standard_normal(IMAGES)
    arrays = subject.arrays()
    step = Step(x, x, subject.evaluate(x, x), arrays, arrays)
    assert normalised_with(step, 1e-3, 1e-4) == "moving"
    assert normalised_with(step, 1.001e-5, 1e-4) == "neither"
