"""Metrics that resolve otherwise than their name says: each bar from both sides."""

from contextlib import nullcontext
from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest

from compare.diagnosis import resolving
from compare.diagnosis.case import rounding
from compare.diagnosis.side import Pass, Step
from tests.diagnosis.cases import case, data, found


def scored(accuracy, outputs=None, targets=None):
    """An evaluation with an accuracy, and the outputs of its one batch."""
    step = Step(0.5, 64, 64, outputs=outputs, targets=targets)
    return Pass([step], {"loss": 0.5, "accuracy": accuracy})


def judged(reported, evaluate, of=None):
    made = case(reported={"loss": 0.5, **reported})
    made.measured.evaluate = evaluate
    if of is not None:
        made.elsewhere, made.measured.elsewhere = data(), of
    resolving.judge(made)
    return found(made)


@pytest.mark.parametrize(
    ("said", "loss", "causes"),
    [
        (0.9, 0.5, {}),
        (90.0, 0.5, {}),
        (0.91, 0.5, {}),
        (0.8, 0.5, {"metric": True}),
        (0.8, 0.51, {}),  # weights, mode or data are others
        (0.8, 0.5004, {"metric": True}),
        (0.8, inf, {}),
        (0.8, nan, {}),
    ],
)
def test_a_metric_is_another_one_where_the_losses_agree(said, loss, causes):
    assert judged({"evaluate_loss": loss, "evaluate_accuracy": said}, scored(0.9)) == causes


@pytest.mark.parametrize(
    ("said", "cause"), [(0.75, "aggregation"), (0.7514, "aggregation"), (0.753, "metric")]
)
def test_one_metric_object_for_both_phases_counts_both(said, cause):
    reported = {"accuracy": 0.6, "evaluate_loss": 0.5, "evaluate_accuracy": said}
    assert judged(reported, scored(0.6), scored(0.9)) == {cause: cause == "metric"}


class Batched:
    """A model whose accuracy is a mean over batches: in batches of 16 another one than in any others."""

    def __init__(self, others):
        self.others = others

    def kept(self):
        return nullcontext()

    def join(self, batches, part):
        return SimpleNamespace(size=len(part))

    def evaluate(self, batches, seed):
        return scored(0.9 if batches[0].size == 16 else self.others)


@pytest.mark.parametrize(("others", "cause"), [(0.87, "aggregation"), (0.88, "metric")])
def test_a_mean_over_batches_is_another_one_in_batches_of_another_size(others, cause):
    made = case(reported={"loss": 0.5, "evaluate_loss": 0.5, "evaluate_accuracy": 0.8})
    made.measured.evaluate, made.subject = scored(0.9), Batched(others)
    resolving.judge(made)
    assert found(made) == {cause: cause == "metric"}


LOGITS, CHANCES = np.array([[-1.0], [0.2], [0.3], [2.0]]), np.array([[0.1], [0.6], [0.7], [0.9]])
TARGETS = np.array([[0], [1], [1], [1]])


@pytest.mark.parametrize(
    ("outputs", "accuracy", "words"),
    [
        (LOGITS, 1.0, None),
        (LOGITS, 0.5, "a threshold of 0.5"),
        (CHANCES, 1.0, None),
        (CHANCES, 0.985, None),
        (CHANCES, 0.75, "a threshold of 0"),
    ],
)
def test_an_accuracy_is_the_share_of_right_classes_by_outputs_of_either_kind(outputs, accuracy, words):
    made = case(reported=None)
    made.measured.evaluate = scored(accuracy, outputs, TARGETS)
    resolving.judge(made)
    assert found(made) == ({"metric": True} if words else {})
    if words:
        assert f"one gets with {words}." in made.findings[0].evidence


@pytest.mark.parametrize(
    ("said", "half"), [(0.25, 5e-3), (12.0, 5e-2), (1e-4, 5e-5), (1e-5, 5e-6), (1.25e-5, 5e-8), (2e20, 5e19)]
)
def test_a_figure_is_as_exact_as_its_digits_however_they_are_written(said, half):
    assert rounding(said) == pytest.approx(half)


@pytest.mark.parametrize("said", [nan, inf, -inf])
def test_what_is_no_finite_number_is_not_exact_at_all(said):
    assert np.isnan(rounding(said))
