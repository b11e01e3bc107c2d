"""The terms of the gap in Keras."""

from dataclasses import replace

import keras
import numpy as np
import pytest

import compare
from compare.gap.evaluations import Whole
from compare.gap.explaining import explain
from keras_impl.batches import Epochs
from tests.support import gap_checks
from tests.support.backends import FRAMEWORK
from tests.support.gap_checks import batches
from tests.support.gap_tests import *  # noqa: F403
from tests.support.gap_tests import (
    BN_FROZEN,
    Wing,
    best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end,
)
from tests.support.keras_gap import SIDE, build
from tests.support.shallow import BATCH_NORMS, shallow
from tests.support.small_run import SMALL, train

# enough for a backend, where each training is compiled anew
for shared in (test_each_term_planted_alone_comes_out_alone, test_the_terms_add_up):  # noqa: F405
    pytest.mark.backend(shared)


@pytest.fixture
def wing():
    return Wing(SIDE, build, lambda dropout: build(dropout, keras.layers.Dropout), double)


def double(dropout):
    keras.config.set_floatx("float64")
    try:
        return build(dropout)
    finally:
        keras.config.set_floatx("float32")


@pytest.fixture
def diagnosed():
    """Have a person's model and data diagnosed."""
    return lambda model, train, reported: compare.diagnose(model, train, reported=reported)


@pytest.mark.slow
def test_a_cells_best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end(tmp_path):
    best_epoch_is_explained_from_its_checkpoint_as_it_was_at_its_end("keras", tmp_path)


@pytest.mark.backend
@pytest.mark.skipif(FRAMEWORK.backend == "tensorflow", reason="the runs of the other tests are on it")
def test_a_cell_on_this_backend_is_trained_and_explained(tmp_path):
    settings = replace(SMALL, images=32, image_size=32, epochs=1, explain="best-and-last")
    with shallow(FRAMEWORK.name):
        result = train(FRAMEWORK.name, "frozen-batch-stats", tmp_path, settings=settings)
    (explanation,) = result.explanations
    (epoch,) = result.history
    assert sum(term.value for term in explanation.terms["loss"].values()) == pytest.approx(
        epoch.gap("loss"), abs=1e-6
    )
    assert explanation.evaluations.evaluate["loss"] == pytest.approx(epoch.evaluate["loss"], abs=1e-5)
    assert len(explanation.layers) == BATCH_NORMS


@pytest.mark.backend
def test_our_figure_of_weighted_samples_is_kerass(wing):
    train = [(x, y, np.where(y[:, 0] > 0.5, 3.0, 0.5).astype(np.float32)) for x, y in batches()]
    model = build(0.0)
    SIDE.weights.from_arrays(model, gap_checks.arrays(SIDE.weights.to_arrays(model)))
    SIDE.bn_policy.apply(model, SIDE.bn_policy.Policy("head", "moving", False))
    SIDE.training.evaluate(model, batches())  # compiles it
    x, y, weights = (np.concatenate(parts) for parts in zip(*train, strict=True))
    reported = model.evaluate(x, y, batch_size=8, sample_weight=weights, verbose=0)
    assert SIDE.replay.measure(model, train)["loss"] == pytest.approx(reported[0], abs=1e-6)


@pytest.mark.backend
def test_penalties_are_in_both_figures_and_said():
    model = build(0.0)
    SIDE.weights.from_arrays(model, gap_checks.arrays(SIDE.weights.to_arrays(model)))
    SIDE.bn_policy.apply(model, SIDE.bn_policy.Policy("all", "moving", False))
    plain = SIDE.training.evaluate(model, batches())
    for name in ("conv", "head_dense_1"):
        model.get_layer(name).kernel.regularizer = keras.regularizers.L1L2(0.01, 0.02)
    kernels = [model.get_layer(name).kernel.numpy() for name in ("conv", "head_dense_1")]
    penalty = sum(0.01 * np.abs(kernel).sum() + 0.02 * np.square(kernel).sum() for kernel in kernels)
    model.compile("sgd", loss="binary_crossentropy", metrics=["accuracy"])
    evaluate = model.evaluate(Epochs(lambda epoch: batches()), verbose=0, return_dict=True)
    assert evaluate["loss"] == pytest.approx(plain["loss"] + penalty, abs=1e-5)
    trained = Whole(SIDE, model, batches(), SIDE.replay.random_state(model))
    found = explain(trained, evaluate, evaluate, BN_FROZEN, epoch=1, steps=6)
    assert found.penalty == pytest.approx(penalty, abs=1e-5)
    assert found.evaluations.end_of_epoch["loss"] == pytest.approx(evaluate["loss"], abs=1e-6)
