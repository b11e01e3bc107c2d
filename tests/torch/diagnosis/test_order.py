"""Batches of one class each are unlike one another, whether evaluation is the worse one or the better."""

import pytest
import torch
from torch import nn

import compare
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, toy


def sorted_by_class(shift):
    x, y = toy(384)
    x = x + shift * torch.tensor([0.0, 1.0, -1.0])[y][:, None]
    order = y.argsort(stable=True)
    return x[order], y[order]


def diagnosed(data, **options):
    net, batches = mlp(), loader(data)
    seen = {"loss": fit(net.train(), batches, 12), "evaluate_loss": evaluated(net, batches)}
    return compare.diagnose(net, batches, loss=CE, reported=seen, **options)


@pytest.mark.parametrize(("shift", "harmful"), [(0.0, False), (1.0, True), (3.0, True)])
def test_batches_of_one_class_are_unmixed_and_do_harm_where_they_change_the_figures(shift, harmful):
    found = diagnosed(sorted_by_class(shift))
    assert found.findings[0].cause == "unmixed-batches"
    assert found.harmful == harmful
    assert "shuffle=True" in found.findings[0].cure.code


def test_a_network_that_normalises_by_sample_doesnt_mind():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 24), nn.LayerNorm(24), nn.ReLU(), nn.Linear(24, 3))
    batches = loader(sorted_by_class(3.0))
    seen = {"loss": fit(net, batches, 12), "evaluate_loss": evaluated(net, batches)}
    found = compare.diagnose(net, batches, loss=CE, reported=seen)
    assert not found.harmful
    assert "unmixed-batches" not in {f.cause for f in found.findings}


def test_arrays_whose_order_nobody_saw_are_shuffled_where_training_was():
    x, y = sorted_by_class(3.0)
    net = mlp()
    seen = {"loss": fit(net.train(), loader((x, y), shuffle=True), 12)}
    seen["evaluate_loss"] = evaluated(net, loader((x, y)))
    found = compare.diagnose(net, (x, y), loss=CE, reported=seen, batch_size=32)
    assert not found.harmful
    assert "unmixed-batches" not in {term.term for term in found.terms}
    # a loader says in which order it gives its samples
    assert "unmixed-batches" in {f.cause for f in compare.diagnose(net, loader((x, y)), loss=CE).findings}
