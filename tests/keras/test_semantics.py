"""Keras does what the table says of it, cell by cell, and a changed layer is caught."""

import keras
import pytest

from compare.semantics import keras_spellings, keras_subject
from compare.semantics.bench import Bench
from compare.semantics.keras_spellings import SPELLINGS
from compare.semantics.page import TESTED
from compare.semantics.record import Record, differences
from tests.support.recorded import of_framework

RECORDED = of_framework("keras")
BENCH = Bench("keras", keras_spellings, keras_subject)


def departures(spelling):
    """Where a fresh measurement and the record, and so the page, disagree."""
    fresh = BENCH.row(spelling)
    assert fresh.code == RECORDED.row(spelling.title).code
    recorded = Record("recorded", {}, "", [RECORDED.row(spelling.title)])
    return differences(recorded, Record("fresh", {}, "", [fresh]))


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.title)
def test_the_table_is_what_is_measured(spelling):
    assert departures(spelling) == []


def test_the_epochs_averages_are_what_is_measured():
    (fresh,) = BENCH.epochs()
    assert fresh == RECORDED.row(fresh.spelling)
    assert set(fresh.epoch_loss.values()) == {"the samples' mean"}


def test_the_table_has_these_rows_in_this_order():
    assert "keras" in TESTED
    rows = [row.spelling for row in RECORDED.rows if not row.epoch_loss]
    assert rows == [spelling.title for spelling in SPELLINGS]
    assert RECORDED.packages["keras"] == keras.__version__


CALL = keras.layers.BatchNormalization.call


def of_2018(layer, inputs, training=None, mask=None):
    """Keras 2.1.3's rule for a frozen layer: the batch's statistics, no update."""
    trainable, layer._trainable = layer._trainable, True
    decay, layer.momentum = layer.momentum, layer.momentum if trainable else 1.0
    try:
        return CALL(layer, inputs, training=training, mask=mask)
    finally:
        layer._trainable, layer.momentum = trainable, decay


def deaf(layer, inputs, training=None, mask=None):
    """A layer that doesn't hear of evaluation."""
    return CALL(layer, inputs, training=True, mask=mask)


@pytest.mark.parametrize(
    ("call", "title", "found"),
    [
        (of_2018, "layer.trainable = False", ["fit"]),
        (deaf, "BatchNormalization()", ["evaluate", "evaluate_updates"]),
    ],
)
def test_a_layer_that_does_otherwise_is_caught(monkeypatch, call, title, found):
    monkeypatch.setattr(keras.layers.BatchNormalization, "call", call)
    spelling = next(spelling for spelling in SPELLINGS if spelling.title == title)
    assert sorted(line.split(": ")[-2] for line in departures(spelling)) == found
