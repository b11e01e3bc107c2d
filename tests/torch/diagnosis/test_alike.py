"""Data that are alike in what is summed up of them: columns in another order, two views of a sample in a batch."""

import numpy as np

import compare
from compare.diagnosis import ordering
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, toy
from torch_impl.gathering import Gathering


def test_columns_in_another_order_are_other_data_though_mean_and_deviation_are_the_same():
    x, y = toy()
    net, data, other = mlp(), loader((x, y), shuffle=True), loader((x.flip(1), y))
    seen = {"loss": fit(net.train(), data, 15), "evaluate_loss": evaluated(net, other)}
    found = compare.diagnose(net, data, loss=CE, evaluate_data=other, reported=seen)
    assert (found.findings[0].cause, found.harmful) == ("data-differ", True)


def gathered(seed, shift=0.0):
    """Eight batches of 16 samples with eight views each, which are rows of their own."""
    rng, gathering = np.random.default_rng(seed), Gathering()
    for place in range(8):
        rows = rng.normal(size=(16, 24)).repeat(8, 0) + shift * place + 0.1 * rng.normal(size=(128, 24))
        gathering.take("norm", rows, np.zeros_like(rows), 1)
    return gathering.seen()


def test_views_of_a_sample_make_no_batches_unmixed_and_sources_do():
    dealt = gathered(1)
    assert ordering.unlike(gathered(0), ordering.UNMIXED) == ["norm"]
    assert not ordering.unlike(gathered(0), ordering.MILDLY, dealt, 128)
    assert ordering.unlike(gathered(0, 2.0), ordering.UNMIXED, dealt, 128) == ["norm"]
    # where a row is a sample nothing is taken off
    assert ordering.unlike(gathered(0), ordering.UNMIXED, dealt, 1024) == ["norm"]


def test_dropout_is_named_in_a_network_that_is_sure_of_itself():
    net, data = mlp(drop=0.1, hidden=64), loader(toy(), shuffle=True)
    fit(net.train(), data, 60)
    found = compare.diagnose(net, data, loss=CE)
    assert found.measured["evaluate_loss"] < found.measured["fit_loss"] < 0.1
    assert [finding.cause for finding in found.findings] == ["dropout"]
    assert not found.harmful
