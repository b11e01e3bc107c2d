"""A normalisation written by hand in the same module as other layers is known by what it takes the mean of."""

import numpy as np
import pytest
import torch
from torch import nn

import compare
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import evaluated, fit, loader, toy


class Plain(nn.Module):
    """Its matrix is a parameter, and its buffers' names say nothing."""

    names, kept, axes = ("u", "q"), False, (0,)

    def __init__(self, before, after, share):
        super().__init__()
        self.share, self.before = share, before
        shape = (1, after, 1) if self.kept else (after,)
        for name, start in zip(self.names, (torch.zeros(shape), torch.ones(shape)), strict=True):
            self.register_buffer(name, start)
        self.make(before, after)

    def make(self, before, after):
        self.matrix = nn.Parameter(torch.randn(before, after) / before**0.5)

    def inner(self, x):
        return x @ self.matrix

    def spread(self, x, mean):
        return x.var(0)

    def root(self, spread):
        return (spread + 1e-5).sqrt()

    def forward(self, x):
        x = self.inner(x)
        mean, spread = (getattr(self, name) for name in self.names)
        if self.training:
            stored = mean, spread
            mean = x.mean(self.axes, keepdim=self.kept)
            spread = self.spread(x, mean)
            with torch.no_grad():
                for one, now in zip(stored, (mean, spread), strict=True):
                    one.lerp_(now, self.share)
        return torch.relu((x - mean) / self.root(spread))


class Child(Plain):
    """A layer inside, and names that everybody gives."""

    names = ("running_mean", "running_var")

    def make(self, before, after):
        self.linear = nn.Linear(before, after)

    def inner(self, x):
        return self.linear(x)

    def spread(self, x, mean):
        return ((x - mean) ** 2).mean(0)


class Deviation(Plain):
    names = ("mu", "sigma")

    def spread(self, x, mean):
        return x.std(0)

    def root(self, spread):
        return spread + 1e-5


class Both(Plain):
    """Takes variance and mean in one call."""

    def forward(self, x):
        x = self.inner(x)
        if not self.training:
            return torch.relu((x - self.u) / self.root(self.q))
        variance, mean = torch.var_mean(x, 0)
        with torch.no_grad():
            self.u.lerp_(mean, self.share)
            self.q.lerp_(variance, self.share)
        return torch.relu((x - mean) / self.root(variance))


class Convolved(Child):
    """Over positions, too; its statistics are of the shape that they are taken off in."""

    names, kept, axes = ("moving_mean", "moving_variance"), True, (0, 2)

    def make(self, before, after):
        self.conv = nn.Conv1d(before, after, 1)

    def inner(self, x):
        return self.conv(x if x.ndim == 3 else x[:, :, None].expand(-1, -1, 4))

    def spread(self, x, mean):
        return ((x - mean) ** 2).mean(self.axes, keepdim=True)


KINDS = [Plain, Child, Deviation, Both, Convolved]


def network(kind, share, width=24):
    torch.manual_seed(0)
    return nn.Sequential(kind(8, width, share), kind(width, 24, share), Last())


class Last(nn.Linear):
    def __init__(self):
        super().__init__(24, 3)

    def forward(self, x):
        return super().forward(x if x.ndim == 2 else x.mean(2))


@pytest.mark.parametrize("width", [8, 24])
@pytest.mark.parametrize("kind", KINDS)
def test_statistics_that_have_not_arrived_are_stale(kind, width):
    net, data = network(kind, 0.004, width), loader(toy(shift=4.0, scale=2.0), 64)
    seen = {"loss": fit(net, data, 8)}
    found = compare.diagnose(net, data, loss=CE, reported=seen | {"evaluate_loss": evaluated(net, data)})
    assert [f.cause for f in found.findings if f.harmful] == ["stale-statistics"]
    assert [(row.role, row.fit, row.evaluate, row.moves) for row in found.audit.rows[:2]] == [
        ("normalisation", "batch", "moving", True)
    ] * 2
    assert found.probes.restored == "same"


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_that_never_move_are_anothers(kind):
    net = network(kind, 0.1)
    fit(net, loader(toy(), 64), 15)
    for layer in net[:2]:
        layer.share = 0.0
    data = loader(toy(shift=5.0, scale=2.0, seed=3), 64)
    seen = {"loss": fit(net, data, 6, 0.003)}
    found = compare.diagnose(net, data, loss=CE, reported=seen | {"evaluate_loss": evaluated(net, data)})
    assert found.findings[0].cause == "foreign-statistics"


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_that_have_arrived_do_no_harm_and_the_terms_are_those_of_batchnorm(kind):
    net, data = network(kind, 0.1), loader(toy(), 64)
    fit(net, data, 30)
    found = compare.diagnose(net, data, loss=CE)
    assert not found.harmful
    assert {term.term for term in found.terms} >= {"batch-noise", "stale-statistics"}


def test_the_population_is_that_of_what_the_module_makes():
    """Beside nn.BatchNorm1d with the same weights: every term is the same."""
    net, data = network(Child, 0.02), loader(toy(shift=2.0), 64)
    fit(net, data, 8)
    parts = []
    for layer in net[:2]:
        norm = nn.BatchNorm1d(24, affine=False)
        norm.running_mean, norm.running_var = layer.running_mean, layer.running_var
        parts += [layer.linear, norm, nn.ReLU()]
    twin = nn.Sequential(*parts, net[2])
    one, other = (compare.diagnose(model, data, loss=CE) for model in (net, twin))
    assert [term.term for term in one.terms] == [term.term for term in other.terms]
    np.testing.assert_allclose(
        [term.value for term in one.terms], [term.value for term in other.terms], rtol=1e-3, atol=1e-6
    )


def test_the_model_may_be_the_module_itself_and_the_loss_take_means_of_its_own():
    class Whole(Child):
        def __init__(self):
            super().__init__(8, 24, 0.004)
            self.out = Last()

        def forward(self, x):
            return self.out(super().forward(x))

    def loss(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, reduction="none").mean(0)

    torch.manual_seed(0)
    net, data = Whole(), loader(toy(shift=4.0, scale=2.0), 64)
    fit(net, data, 8)
    found = compare.diagnose(net, data, loss=loss)
    assert [(f.cause, f.layers) for f in found.findings if f.harmful] == [("stale-statistics", ("forward",))]


def test_a_module_that_normalises_nothing_keeps_its_buffers_to_itself():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 24)
            self.register_buffer("running_mean", torch.zeros(24))
            self.register_buffer("running_var", torch.ones(24))

        def forward(self, x):
            return self.inner(x) - self.running_mean

    net, data = nn.Sequential(Scaled(), nn.Linear(24, 3)), loader(toy())
    fit(net, data, 3)
    found = compare.diagnose(net, data, loss=CE)
    assert [finding.cause for finding in found.findings] == ["none"]
