"""The ways in which people average batches: each bar from both sides."""

import numpy as np
import pytest

from compare.diagnosis.aggregating import averaged
from compare.diagnosis.side import Facts, Pass, Step
from tests.diagnosis.cases import case

# four whole batches and one of four samples
LOSSES, SIZES = [1.0, 1.2, 0.9, 1.1, 4.0], [16, 16, 16, 16, 4]
TRUE = float(np.average(LOSSES, weights=SIZES))


def way(said, losses=LOSSES, sizes=SIZES, framework="keras", fit=True, facts=None):
    """The words of the average that is found; None for none."""
    steps = [Step(loss, size, size) for loss, size in zip(losses, sizes, strict=True)]
    one = Pass(steps, {"loss": float(np.average(losses, weights=sizes))})
    made = case(evaluate=7.3, framework=framework, facts=facts)
    made.measured.fit = one if fit else made.measured.fit
    found = averaged(made, one, said)
    return found and found.words


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (float(np.mean(LOSSES)), "the mean of the batches' means"),
        (1.0005 * float(np.mean(LOSSES)), "the mean of the batches' means"),
        (1.002 * float(np.mean(LOSSES)), None),
        (sum(LOSSES), "the sum over the batches"),
        (68 * TRUE, "the sum over the samples"),
        (sum(LOSSES) / 68, "the sum of the batches' means over"),
        (TRUE, None),
    ],
)
def test_a_figure_is_an_average_that_gives_it_but_for_rounding(said, words):
    found = way(said)
    assert found is None if words is None else found.startswith(words)


def test_batches_of_one_size_have_one_mean():
    assert way(float(np.mean(LOSSES)), sizes=[16] * 5) is None


def test_the_last_batchs_loss_is_one_where_its_order_is_known():
    assert (
        way(1.1001, losses=[*LOSSES[:4], 1.1001], sizes=[16] * 5, framework="torch")
        == "the last batch's alone"
    )
    # averages of Keras's own are none of a single batch
    assert way(1.1001, losses=[*LOSSES[:4], 1.1001], sizes=[16] * 5) != "the last batch's alone"


SAID = 1.2345678


@pytest.mark.parametrize(("off", "found"), [(0.3, True), (3e-4, False)])
def test_a_mean_of_the_last_batches_is_one_only_where_no_other_end_lies_near(off, found):
    losses = [3.0, SAID + off, SAID + off, SAID - 0.01, SAID + 0.01]
    assert (way(SAID, losses, [16] * 5) == "that of the last 2 of 5 batches") == found


@pytest.mark.parametrize(("off", "found"), [(5e-6, True), (3e-5, False)])
def test_and_only_where_it_fits_as_exactly_as_it_is_written(off, found):
    losses = [3.0, 2.0, 1.9, SAID - 0.01, SAID + 0.01]
    assert (way(SAID * (1 + off), losses, [16] * 5) is not None) == found
    assert way(1.2, losses, [16] * 5) is None


@pytest.mark.parametrize(
    ("framework", "known", "said", "found"),
    [
        ("torch", None, TRUE / 3, True),
        ("torch", None, 3 * TRUE, True),
        ("torch", None, TRUE / 9, False),
        ("torch", 9, TRUE / 9, True),
        ("keras", None, TRUE / 3, False),
        ("keras", 3, TRUE / 3, True),
        ("torch", None, 1.005 * TRUE / 3, False),
    ],
)
def test_a_whole_number_between_two_figures_is_of_micro_batches(framework, known, said, found):
    words = way(said, fit=False, framework=framework, facts=Facts(accumulation=known))
    assert bool(words and "micro-batches" in words) == found
