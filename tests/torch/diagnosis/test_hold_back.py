"""Where a diagnosis must hold back, what comes first where it need not, and how many passes it makes."""

import copy

import pytest
import torch
from torch import nn

import compare
from tests.torch.diagnosis import stories, variants
from tests.torch.diagnosis.stories import CE, Noise, told
from tests.torch.diagnosis.test_cures import paste
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, norms, toy


def causes(found, harmful=None):
    return [finding.cause for finding in found.findings if harmful is None or finding.harmful == harmful]


class Draws(nn.Module):
    """Moves the generator on in evaluation, too, and uses nothing of it."""

    def __init__(self):
        super().__init__()
        self.net = mlp()

    def forward(self, x):
        torch.rand(3)
        return self.net(x)


def test_an_evaluation_that_moves_the_generator_on_is_no_leak():
    net, data, options = told(Draws(), loader(toy()), epochs=12)
    found = compare.diagnose(net, data, **options)
    assert causes(found) == ["none"]
    assert (found.probes.state_after_evaluation, found.probes.evaluate_twice) == ("same", "same")


def arrived(net, data):
    """Statistics that are the data's, of weights that have learned nothing."""
    for norm in norms(net):
        norm.momentum = None
    with torch.no_grad():
        for x, _ in data:
            net.train()(x)
    return net


@pytest.mark.parametrize("make", [mlp, lambda: nn.Linear(8, 3)], ids=["normalised", "plain"])
def test_data_that_evaluate_badly_in_both_modes_are_no_gap(make):
    data = loader(toy())
    torch.manual_seed(0)
    found = compare.diagnose(arrived(make(), data), data, loss=CE)
    assert found.measured["evaluate_loss"] > 1
    assert causes(found) == ["none"]


@pytest.mark.parametrize("spread", [0.0, 1e-4])
def test_a_constant_input_whose_rounding_is_amplified_is_none(spread):
    torch.manual_seed(0)
    x = 1 + spread * torch.randn(64, 8)
    data = loader((x, torch.arange(64) % 3))
    net = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 3))
    fit(net.train(), data, 30)
    assert causes(compare.diagnose(net, data, loss=CE)) == ["none"]


def test_batches_of_one_are_not_to_be_cured_by_re_estimation():
    net, data, options = variants.noisy_masks_of_one_image()
    found = compare.diagnose(net, data, **options)
    assert causes(found)[0] == "batch-noise"
    for finding in found.findings:
        assert not any(word in finding.cure.code for word in ("reset_running_stats", "momentum", "running_"))
    # re-estimated on the same batches they evaluate no better
    again = copy.deepcopy(net)
    for norm in norms(again):
        norm.reset_running_stats()
    assert evaluated(arrived(again, data), data) > 0.5 * evaluated(net, data)


class OfTheBatch(nn.Module):
    """Normalises with the batch in either mode, by an arithmetic of its own that keeps nothing."""

    def __init__(self, size, momentum):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return self.scale * (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize("norm", [OfTheBatch, stories.untracked])
def test_evaluation_on_batch_statistics_is_found_beside_a_figure_only_and_its_cure_closes_that(norm):
    x, y = toy()
    net, data, options = told(mlp(norm=norm), loader((x, y)), epochs=20)
    assert not compare.diagnose(net, data, **options).harmful
    order = y.argsort()
    ordered = loader((x[order], y[order]))
    found = compare.diagnose(net, data, loss=CE, evaluate_data=ordered)
    assert causes(found, harmful=True) == ["mode-in-evaluation"]
    assert found.gap > 1
    # no mode would change it; other batches do
    dealt = paste(found.findings[0].cure.code, net, ordered)["loader"]
    assert evaluated(net, dealt) < 0.2 * evaluated(net, ordered)


def test_what_makes_figures_unreliable_comes_before_what_costs_more():
    net = nn.Sequential(mlp(momentum=0.01), Noise(True), nn.Linear(3, 3))
    net, data, options = told(net, loader(toy(128, 3.0), 128), epochs=20)
    found = compare.diagnose(net, data, **options)
    assert causes(found, harmful=True) == ["random-evaluation", "stale-statistics"]
    assert abs(found.findings[1].value) > abs(found.findings[0].value)


def test_what_is_no_number_costs_most():
    net, data, options = told(mlp(momentum=0.01, drop=0.5), loader(toy(128, 3.0), 128), epochs=20)
    assert causes(compare.diagnose(net, data, **options))[0] == "stale-statistics"
    net[1].running_var[3] = float("nan")
    assert causes(compare.diagnose(net, data, loss=CE))[0] == "numerics"


class Shift(nn.Module):
    def forward(self, x):
        return x + 1.5 * torch.rand(len(x), 1) if self.training else x


NETS = {
    0: lambda: nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 3)),
    1: mlp,
    2: lambda: mlp(drop=0.3),
    3: lambda: nn.Sequential(Shift(), mlp(drop=0.3)),
}


@pytest.mark.parametrize("switches", NETS)
def test_there_are_no_more_passes_than_sets_of_switches_and_five(switches):
    """One for the population, one for the batches' statistics, three probes."""
    net, data, options = told(NETS[switches](), loader(toy(640), 16), epochs=2)
    passed = [0]

    def count(module, inputs):
        passed[0] += len(inputs[0])

    handle = net.register_forward_pre_hook(count)
    found = compare.diagnose(net, data, **options, limit=160)
    handle.remove()
    named = {"dropout", "augmentation", "batch-noise"} & {term.term for term in found.terms}
    assert len(named) == switches
    assert 640 < passed[0] <= 640 * (2**switches + 5)


class Views(nn.Module):
    """Three views of a sample through one network."""

    def __init__(self, momentum):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Linear(8, 24), nn.BatchNorm1d(24, momentum=momentum), nn.ReLU(), nn.Linear(24, 8)
        )

    def forward(self, *views):
        return [self.net(view) for view in views]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("momentum", "shift", "harmful"), [(0.1, 0.0, False), (0.002, 3.0, True)])
def test_what_is_nothing_beside_wrongly_paired_samples_does_no_harm_where_a_step_alone_knows_the_loss(
    named, momentum, shift, harmful
):
    g = torch.Generator().manual_seed(1)
    anchor = shift + torch.randn(192, 8, generator=g)
    near = anchor + 0.3 * torch.randn(192, 8, generator=g)
    samples = (anchor, near, shift + torch.randn(192, 8, generator=g))
    data = loader(samples) if not named else [
        dict(zip(("anchor", "near", "far"), batch, strict=True)) for batch in loader(samples)
    ]  # fmt: skip

    def step(model, batch):
        return nn.functional.triplet_margin_loss(*model(*(batch.values() if named else batch)))

    net = Views(momentum)
    optimizer = torch.optim.Adam(net.parameters(), 0.005)
    for _ in range(8):
        for batch in data:
            optimizer.zero_grad()
            step(net, batch).backward()
            optimizer.step()
    found = compare.diagnose(net, data, step=step)
    assert found.measured["evaluate_loss"] > 2 * found.measured["fit_loss"]
    assert found.harmful == harmful
    assert found.findings[0].cause == ("stale-statistics" if harmful else "none")
