"""A figure that is averaged otherwise is told from one that only lies near such an average by chance."""

import numpy as np
import pytest

import compare
from tests.torch.diagnosis.stories import CE, plain
from tests.torch.diagnosis.toys import evaluated, fit, loader, toy


@pytest.fixture(scope="module")
def person():
    """A network without anything random, its data of 38 batches, and the loss that it has."""
    net, data = plain(), loader(toy(1200))
    fit(net.train(), data, 1, 0.003, settle=False)
    return net, data, evaluated(net, data)


def causes(person, **figures):
    net, data, true = person
    given = {"loss": true, "evaluate_loss": true} | figures
    return [finding.cause for finding in compare.diagnose(net, data, loss=CE, reported=given).findings]


@pytest.mark.parametrize("times", [2, 4, 8])
def test_weights_that_moved_a_little_hide_no_division_by_micro_batches(person, times):
    true = person[2]
    assert causes(person, loss=1.02 * true / times) == ["aggregation"]
    assert "aggregation" not in causes(person, loss=1.05 * true / times)
    # an epoch's mean is above what its end gives, not below
    assert "aggregation" not in causes(person, loss=0.98 * true / times)


@pytest.mark.parametrize("times", [3, 5, 6, 7])
def test_numbers_that_few_people_use_must_fit_exactly(person, times):
    true = person[2]
    assert causes(person, loss=true / times) == ["aggregation"]
    assert "aggregation" not in causes(person, loss=1.01 * true / times)


def test_evaluations_weights_do_not_move(person):
    true = person[2]
    assert "aggregation" in causes(person, evaluate_loss=2 * true)
    assert "aggregation" in causes(person, evaluate_loss=true / 2)
    assert "aggregation" not in causes(person, evaluate_loss=1.01 * true / 2)


def test_a_division_is_not_seen_where_evaluations_figure_is_of_other_weights(person):
    true = person[2]
    assert causes(person, loss=1.01 * true / 4) == ["aggregation"]
    assert "aggregation" not in causes(person, loss=1.01 * true / 4, evaluate_loss=3.1 * true)


def test_a_mean_of_the_last_batches_must_fit_as_exactly_as_it_is_written():
    net, (x, y) = plain(), toy(320)
    fit(net.train(), loader((x, y)), 5)
    y = y.clone()
    y[160::3] = (y[160::3] + 1) % 3  # the later batches are the harder ones
    data = loader((x, y))
    person = net, data, evaluated(net, data)
    losses = [CE(net(a), b).item() for a, b in data]
    for count in (2, 4, 5):
        value = float(np.mean(losses[-count:]))
        assert causes(person, loss=value) == ["aggregation"]
        assert causes(person, loss=float(np.float32(value))) == ["aggregation"]
        assert causes(person, loss=round(value, 5)) == ["aggregation"]
        assert "aggregation" not in causes(person, loss=value * (1 + 2e-4))
        assert "aggregation" not in causes(person, loss=round(value, 2))
