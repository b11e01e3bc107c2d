"""Population statistics of every kind of normalisation against brute force in float64."""

import numpy as np
import pytest
import timm.layers
import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.test_kinds import Activated, Arithmetic, Replacing
from tests.torch.diagnosis.toys import loader
from torch_impl.probing import Subject

COUNT = 30


class Functional(nn.Module):
    """Calls the function with buffers of its own."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("var", torch.ones(size))

    def forward(self, x):
        return F.batch_norm(x, self.mean, self.var, training=self.training, momentum=0.1)


def own(kind):
    return lambda size: kind(size, momentum=0.1)


# kind -> (makes a layer, rank of the data behind samples and channels)
KINDS = {
    "BatchNorm1d": (nn.BatchNorm1d, 0),
    "BatchNorm1d of signals": (nn.BatchNorm1d, 1),
    "BatchNorm2d": (nn.BatchNorm2d, 2),
    "BatchNorm3d": (nn.BatchNorm3d, 3),
    "SyncBatchNorm": (nn.SyncBatchNorm, 2),
    "LazyBatchNorm2d": (lambda size: nn.LazyBatchNorm2d(), 2),
    "affine=False": (lambda size: nn.BatchNorm2d(size, affine=False), 2),
    "momentum=None": (lambda size: nn.BatchNorm2d(size, momentum=None), 2),
    "timm's BatchNormAct2d": (timm.layers.BatchNormAct2d, 2),
    "a function": (Functional, 2),
    "a subclass that activates": (own(Activated), 0),
    "a subclass that replaces its buffers": (own(Replacing), 0),
    "an arithmetic of its own": (own(Arithmetic), 0),
}
PLAIN = {0: nn.Linear, 1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def network(make, rank):
    """Two of a kind, each behind a layer, so that the second sees what the first has made."""
    torch.manual_seed(0)
    between = (lambda a, b: nn.Linear(a, b)) if rank == 0 else (lambda a, b: PLAIN[rank](a, b, 1))
    parts = [between(3, 5), make(5), nn.Tanh(), between(5, 4), make(4), nn.Tanh()]
    net = nn.Sequential(*parts, *([nn.Flatten()] if rank else []), nn.LazyLinear(3))
    x = 2 + 3 * torch.randn(COUNT, 3, *[4] * rank, generator=torch.Generator().manual_seed(1))
    net(x)
    for module in net.modules():
        for name in ("mean", "var", "running_mean", "running_var", "moving_mean", "moving_var"):
            if name in dict(module.named_buffers(recurse=False)):
                getattr(module, name).copy_(torch.rand(getattr(module, name).shape) + 0.5)
    return net.double(), x.double()


def brute_force(net, x):
    """What one batch of all samples hands to both layers, pooled in float64."""
    found, hooks = [], []
    for at in (1, 4):
        hooks.append(
            net[at].register_forward_pre_hook(lambda layer, args: found.append(args[0].detach().numpy()))
        )
    with torch.no_grad():
        net.train()(x)
    for hook in hooks:
        hook.remove()
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    return [(values.mean(axes), values.var(axes)) for values in found]


@pytest.mark.parametrize("kind", KINDS)
def test_the_population_is_that_of_all_samples_at_once(kind):
    net, x = network(*KINDS[kind])
    subject = Subject(net, loss=CE)
    batches = [subject.batch(raw) for raw in loader((x, torch.arange(COUNT) % 3), 7)]
    subject.layers(batches[:2])
    with subject.kept():
        pooled, _ = subject.population(batches)
    assert len(pooled) == 2
    for ours, theirs in zip(pooled.values(), brute_force(net, x), strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, atol=1e-9)


def test_statistics_of_one_batch_are_not_the_populations():
    """What the comparison above must not let pass."""
    net, x = network(*KINDS["BatchNorm2d"])
    whole, some = brute_force(net, x), brute_force(net, x[:7])
    assert not np.allclose(whole[1][1], some[1][1], rtol=1e-3)


def test_instances_with_running_statistics_are_pooled_over_all_samples():
    net, x = network(lambda size: nn.InstanceNorm2d(size, track_running_stats=True), 2)
    subject = Subject(net, loss=CE)
    batches = [subject.batch(raw) for raw in loader((x, torch.arange(COUNT) % 3), 7)]
    subject.layers(batches[:2])
    with subject.kept():
        pooled, _ = subject.population(batches)
    mean, variance = brute_force(net, x)[0]
    np.testing.assert_allclose(pooled["1"][0], mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(pooled["1"][1], variance, rtol=1e-6, atol=1e-9)
