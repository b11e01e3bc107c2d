"""The terms of the gap in PyTorch."""

from collections import Counter
from dataclasses import replace

import pytest
import torch.nn.functional as F
from torch import nn

import compare
from compare.cells.settings import Settings
from tests.support.course_checks import forget
from tests.support.gap_checks import stored, values
from tests.support.gap_tests import *  # noqa: F403
from tests.support.gap_tests import Wing, best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end
from tests.support.small_run import SMALL, train
from tests.support.torch_gap import SIDE, build
from torch_impl import replay
from torch_impl.batches import tensors


@pytest.fixture
def wing():
    def double(dropout):
        return build(dropout, variance="unbiased").double()

    return Wing(SIDE, build, lambda dropout: build(dropout, nn.Dropout), double)


@pytest.fixture
def diagnosed():
    """Have a person's model and data diagnosed: the model stands as a training left it."""

    def diagnosed(model, train, reported):
        SIDE.modes.stand(model, True)
        data = [tuple(tensors(batch, model)) for batch in train]
        return compare.diagnose(model, data, loss=F.binary_cross_entropy, reported=reported)

    return diagnosed


def test_a_cells_best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end(tmp_path):
    best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end("torch", tmp_path)


def test_of_many_images_a_part_is_the_population(tmp_path, monkeypatch):
    """The terms still add up; what the population's normalises differs a little, and only that."""
    settings = replace(SMALL, epochs=1, explain="best-and-last")
    found = {}
    for images in (64, 16):
        forget(monkeypatch)
        monkeypatch.setattr("compare.gap.sample.EXPLANATION_IMAGES", images)
        result = train("torch", "frozen-batch-stats", tmp_path, settings=settings)
        (explanation,) = result.explanations
        (row,) = result.history
        assert sum(values(explanation).values()) == pytest.approx(row.gap(), abs=1e-6)
        found[images] = explanation.evaluations
    assert found[16].population["loss"] == pytest.approx(found[64].population["loss"], abs=0.05)
    assert found[16].population != found[64].population
    for name in ("fit", "end_of_epoch", "without_dropout", "evaluate"):
        assert getattr(found[16], name) == getattr(found[64], name)


def test_an_explained_epoch_passes_its_images_no_more_often_than_its_terms_need(tmp_path, monkeypatch):
    """As in fit once; under the mean of the batches' statistics once; and once a stage."""
    plain, calls = replay.features, Counter()

    def counted(body, batches, normalise="evaluate", take=None):
        calls[normalise] += 1
        return plain(body, batches, normalise, take)

    monkeypatch.setattr(replay, "features", counted)
    passes = {}
    for explain in ("nothing", "best-and-last"):
        train("torch", "frozen-batch-stats", tmp_path, settings=replace(SMALL, epochs=1, explain=explain))
        passes[explain] = calls.copy()
        calls.clear()
    assert passes["best-and-last"] - passes["nothing"] == {"fit": 1, "evaluate": 1 + 5}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numerics", "epochs", "steps"), [("matched", 5, 30), ("matched", 89, 534), ("native", 22, 132)]
)
def test_a_resnets_moving_statistics_lag(numerics, epochs, steps, tmp_path):
    """`fine-tune` on 128 photographs, at Keras's decay (`matched`) and at PyTorch's own."""
    settings = Settings(
        images=128, image_size=64, batch_size=32, epochs=epochs, patience=epochs, learning_rate=3e-3
    )
    explanation = train("torch", "fine-tune", tmp_path, numerics, settings).explanations[-1]
    assert {layer.steps for layer in explanation.layers} == {steps}
    stale = stored(explanation)
    gap = sum(values(explanation).values())
    if steps == 30:
        assert gap > 1
        assert stale > 0.9 * gap
    else:
        assert abs(stale) < 0.2
