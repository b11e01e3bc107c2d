"""Are the inputs those that a network was trained on? Each bar from both sides, on a network that is made up."""

from types import SimpleNamespace

import numpy as np
import pytest

from compare.diagnosis.inputs import changed_inputs
from compare.diagnosis.side import Seen
from tests.diagnosis.cases import case, data, norm, passed

# of 0..1, with another range in each of two channels
X = np.random.default_rng(0).uniform(size=(64, 2)) * [1.0, 0.5]


class Model:
    """A network whose first normalisation gets the inputs as they are; its loss hangs on their range alone."""

    name = "net"

    def __init__(self, loss):
        self.loss = loss

    def scaled(self, batch, change):
        return SimpleNamespace(size=batch.size, x=change(batch.x))

    def run(self, batches, on):
        return passed(self.loss if batches[0].x.max() <= 1 and batches[0].x.min() >= 0 else 2.5)

    def reaching(self, batches, name):
        mean, variance = batches[0].x.mean(0), batches[0].x.var(0)
        return Seen(64, mean, variance, mean, variance, mean, mean, 4, 16)


def found(x, loss, **stored):
    """Whether the inputs are found to be others, where evaluation's loss is 2.5 and training's 0.5."""
    made = case(fit=0.5, evaluate=2.5, layers=[norm("bn", **stored)])
    made.subject = Model(loss)
    look = SimpleNamespace(batches=[16] * 4, size=64, mean=x.mean(0), low=x.min(0), high=x.max(0))
    made.fit = data(look=look)
    made.fit.some = lambda most: [SimpleNamespace(size=64, x=x)]
    changed = changed_inputs(made)
    assert changed == bool(made.findings)
    return made.findings[0].cure.code if changed else None


@pytest.mark.parametrize(("loss", "told"), [(0.5, True), (1.8, True), (2.0, False)])
def test_a_change_that_brings_back_what_was_stored_must_close_a_third_of_the_step(loss, told):
    code = found(255 * X, loss, mean=X.mean(0), variance=X.var(0))
    assert (code == "x = x / 255") == told


@pytest.mark.parametrize(("loss", "told"), [(0.5, True), (1.2, True), (1.4, False)])
def test_one_that_only_comes_nearer_must_close_most_of_it(loss, told):
    code = found(255 * X, loss, mean=X.mean(0), variance=X.var(0) * np.exp(0.9))
    assert (code == "x = x / 255") == told


def test_one_that_comes_no_nearer_is_none():
    assert found(255 * X, 0.5, mean=255 * X.mean(0), variance=X.var(0) * 255**2) is None
    assert found(255 * X, 0.5, mean=X.mean(0), variance=X.var(0) * np.exp(1.7)) is None


@pytest.mark.parametrize(
    ("x", "share", "told"),
    [(X, 0.3, True), (X, 0.02, False), (X, 3.0, False), (X[:, [0, 0]], 0.3, False)],
    ids=["on its way", "hardly any", "more than all", "the same in all channels, as initial values are"],
)
def test_an_average_on_its_way_from_other_inputs_holds_the_same_share_of_them_in_all_channels(x, share, told):
    code = found(x, 2.5, mean=x.mean(0), variance=share * (255 * x).var(0))
    assert (code == "x = x * 255") == told
