"""Customary objectives that a figure may be of: each bar from both sides, on outputs that are made up."""

import numpy as np
import pytest

from compare.diagnosis.objectives import other_objective
from compare.diagnosis.side import Pass, Step
from tests.diagnosis.cases import case


def passes(counts, penalty=0.0):
    """A pass over two classes of so many samples: outputs that are right more often than not."""
    labels = np.repeat([0, 1], counts)
    logits = np.random.default_rng(1).normal(size=(len(labels), 2)) + 1.5 * np.eye(2)[labels] + [1.0, 0.0]
    losses = np.logaddexp(logits[:, 0], logits[:, 1]) - logits[np.arange(len(labels)), labels]
    loss, size = float(losses.mean()) + penalty, len(labels)
    step = Step(loss, size, size, penalty=penalty, outputs=logits.astype("float64"), targets=labels)
    return Pass([step], {"loss": loss}), [losses[labels == label].mean() for label in (0, 1)]


def named(one, said, evaluation=True, **reported):
    made = case(reported={"loss": said, **reported})
    made.measured.evaluate = made.measured.fit = one
    found = other_objective(made, said, evaluation)
    return found and found[1]


@pytest.mark.parametrize(("counts", "told"), [((40, 20), True), ((28, 20), False)])
def test_classes_that_count_the_same_are_an_objective_where_they_are_of_other_sizes(counts, told):
    one, means = passes(counts)
    found = named(one, float(np.mean(means)))
    assert bool(found and "count the same each" in found) == told


@pytest.mark.parametrize(
    ("off", "evaluation", "told"),
    [(0.005, True, True), (0.05, True, False), (0.05, False, True), (0.2, False, False)],
)
def test_a_figure_of_training_may_lie_further_off_since_weights_move(off, evaluation, told):
    one, means = passes((40, 20))
    equal, own = float(np.mean(means)), one.figures["loss"]
    found = named(one, own + (1 + off) * (equal - own), evaluation)
    assert bool(found and "count the same each" in found) == told


def test_a_weight_on_a_class_is_told_where_the_accuracies_agree():
    one, means = passes((40, 20))
    said = (40 * means[0] + 5 * 20 * means[1]) / 60
    right = float((one.steps[0].outputs.argmax(1) == one.steps[0].targets).mean())
    assert "a weight of 5 on class 1" in named(one, said, evaluate_accuracy=right)
    assert "a weight of 5 on class 1" in named(one, said, evaluate_accuracy=right + 0.015)
    assert named(one, said, evaluate_accuracy=right + 0.03) is None
    assert named(one, said) is None


def test_a_penalty_that_one_figure_lacks_is_told():
    one, _ = passes((40, 20), penalty=0.3)
    assert "without the penalty" in named(one, one.figures["loss"] - 0.3)
    assert named(one, one.figures["loss"] - 0.28) is None
