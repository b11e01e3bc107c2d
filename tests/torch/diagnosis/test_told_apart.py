"""Causes that look like one another: each is told from its neighbour by what only it does."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from tests.support import own_model
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, toy

CE, BCE = F.cross_entropy, F.binary_cross_entropy_with_logits


def plain(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 3))


def causes(found):
    return [finding.cause for finding in found.findings]


def trained(net, step, data, epochs=12):
    """Train by a step of a person's own, and return the loss that it gave in the last epoch."""
    optimizer = torch.optim.Adam(net.parameters(), 0.005)
    for epoch in range(epochs):
        if epoch == epochs - 1:
            optimizer.param_groups[0]["lr"] = 1e-5
        total = count = 0
        for x, y in data:
            optimizer.zero_grad()
            value = step(net, (x, y))
            value.backward()
            optimizer.step()
            total, count = total + value.item() * len(y), count + len(y)
    return total / count


def test_a_loss_divided_in_training_alone_is_an_average_and_no_objective():
    def divided(net, batch):
        return CE(net(batch[0]), batch[1]) / (4 if net.training else 1)

    def weighted(net, batch):
        weight = torch.tensor([9.0, 1, 1]) if net.training else None
        return CE(net(batch[0]), batch[1], weight=weight)

    x, y = toy()
    data, net = loader((x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), y)), plain()
    trained(net, divided, data, 3)
    assert causes(compare.diagnose(net, data, step=divided))[0] == "aggregation"
    assert causes(compare.diagnose(net, data, step=weighted))[0] == "objective"


def test_weights_of_a_class_that_comes_late_are_seen():
    def weighted(net, batch):
        weight = torch.tensor([1.0, 1, 20]) if net.training else None
        return CE(net(batch[0]), batch[1], weight=weight)

    x, y = toy(192)
    x = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    first = torch.arange(192)[y != 2][:32]
    order = torch.cat([first, torch.tensor([i for i in range(192) if i not in set(first.tolist())])])
    data, net = loader((x[order], y[order])), plain()
    trained(net, weighted, data, 6)
    assert causes(compare.diagnose(net, data, step=weighted))[0] == "objective"


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_smoothed_targets_are_told_from_an_epoch_of_moving_weights_by_what_the_outputs_suit(share):
    data, net = loader(toy(320), 16), plain()
    said = fit(net, data, 15, 0.005, lambda o, y: CE(o, y, label_smoothing=share))
    smooth = trained_loss(net, data, 0.2)
    figures = {"loss": said if share else smooth, "evaluate_loss": evaluated(net, data)}
    found = compare.diagnose(net, data, loss=CE, reported=figures)
    # without smoothing the same figure is of a network that is too sure for it
    assert causes(found)[0] == ("objective" if share else "weights-moved")
    assert not found.harmful


@torch.no_grad()
def trained_loss(net, data, share):
    values = [(CE(net(x), y, label_smoothing=share).item(), len(y)) for x, y in data]
    return sum(value * n for value, n in values) / sum(n for _, n in values)


def test_a_model_left_in_training_mode_is_found_on_data_of_evaluations_own():
    torch.manual_seed(0)
    x, y = toy(192)
    net = nn.Sequential(mlp(), nn.Dropout(0.0))
    data, order = loader((x, y), shuffle=True), y.argsort()
    own = loader((x[order], y[order]))
    said = fit(net, data, 12)
    with torch.no_grad():
        twin = copy.deepcopy(net).train()
        forgotten = sum(CE(twin(a), b).item() * len(b) for a, b in own) / len(y)
    figures = {"loss": said, "evaluate_loss": forgotten}
    found = compare.diagnose(net, data, evaluate_data=own, loss=CE, reported=figures)
    assert causes(found)[0] == "mode-in-evaluation"
    figures["evaluate_loss"] = evaluated(net, own)
    right = compare.diagnose(net, data, evaluate_data=own, loss=CE, reported=figures)
    assert "mode-in-evaluation" not in causes(right)


def test_a_sum_over_the_batch_is_an_average_of_another_kind():
    def summed(outputs, targets):
        return CE(outputs, targets, reduction="sum")

    rows, net = toy(), plain()
    fit(net, loader(rows), 8)
    found = compare.diagnose(net, loader(rows, 16), evaluate_data=loader(rows, 64), loss=summed)
    assert causes(found) == ["aggregation"]
    mean = compare.diagnose(net, loader(rows, 16), evaluate_data=loader(rows, 64), loss=CE)
    assert causes(mean) == ["none"]


class Rescaling(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x / 255)


@pytest.mark.parametrize("factor", [1 / 255, 3.0])
def test_inputs_scaled_twice_are_found_while_the_average_is_on_its_way(factor):
    x, y = toy(shift=128.0, scale=40.0)
    net = Rescaling(mlp(momentum=0.1))
    fit(net, loader((x, y)), 10)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 0.01
    data = loader((factor * x, y))
    fit(net, data, 3, 0.002)
    found = compare.diagnose(net, data, loss=CE)
    # brighter images are no mistake of the scale: a share of theirs could be of anything
    assert causes(found)[0] == ("input-scale" if factor < 1 else "stale-statistics")
    assert found.harmful


def test_a_step_that_costs_a_sure_network_accuracy_counts_though_its_mistakes_would_be_dear():
    x, y = toy(256, shift=3.0, scale=2.0)
    torch.manual_seed(1)
    net = nn.Sequential(nn.BatchNorm1d(8, momentum=0.02), nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
    fit(net, loader((x, y)), 25, 0.02)
    net[0].running_mean += 0.35 * net[0].running_var.sqrt()
    found = compare.diagnose(net, loader((x, y)), loss=CE)
    assert found.measured["fit_loss"] < 0.05 < found.measured["evaluate_loss"]
    assert causes(found)[0] == "stale-statistics"


class Own(nn.Module):
    """A batch normalisation written by hand, its statistics under names that nobody else gives."""

    def __init__(self, size, share, root):
        super().__init__()
        self.share, self.root = share, root
        self.register_buffer("m1", torch.zeros(size))
        self.register_buffer("m2", torch.ones(size))

    def forward(self, x):
        first, second = self.m1, self.m2
        if self.training:
            first, second = x.mean(0), x.std(0) if self.root else x.var(0, unbiased=False)
            self.m1.lerp_(first, self.share)
            self.m2.lerp_(second, self.share)
        return (x - first) / (second + 1e-5 if self.root else (second + 1e-5).sqrt())


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("share", [0.004, 0.1])
def test_a_normalisation_by_hand_is_known_by_what_moves_it(share, root):
    torch.manual_seed(0)
    x, y = toy(shift=5.0, scale=2.0)
    net = nn.Sequential(Own(8, share, root), nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 3))
    data = loader((x, y), shuffle=True)
    fit(net, data, 8)
    found = compare.diagnose(net, data, loss=CE)
    assert found.audit.rows[0].role == "normalisation"
    assert causes(found)[0] == ("stale-statistics" if share < 0.1 else "none")
    assert found.probes.restored == "same"


@pytest.mark.parametrize(("epochs", "cause"), [(3, "stale-statistics"), (100, "none")])
def test_statistics_far_from_arrived_are_no_chance_though_four_batches_differ_much(epochs, cause):
    model, given = own_model.in_torch(epochs)
    assert causes(compare.diagnose(model, **given))[0] == cause


@pytest.mark.parametrize("of_other_weights", [0.93, 1.12])
def test_a_figure_near_that_of_other_targets_and_of_their_own_is_of_neither(of_other_weights):
    """An untrained model's loss hardly depends on which target is whose: both lie within a few percent."""
    net, data = mlp(), loader(toy())
    said = of_other_weights * evaluated(net, data)
    found = compare.diagnose(net, data, loss=F.cross_entropy, reported={"evaluate_loss": said})
    assert "other-weights" in causes(found)
    assert "samples" not in causes(found)


def test_a_figure_that_only_other_targets_give_is_theirs():
    net, data = mlp(), loader(toy())
    fit(net.train(), data, 6)
    x, y = toy()
    said = evaluated(net, loader((x, y.roll(7))))
    found = compare.diagnose(net, data, loss=F.cross_entropy, reported={"evaluate_loss": said})
    assert found.findings[0].cause == "samples"


@pytest.mark.parametrize(
    ("change", "cause"),
    [(lambda v: v, "data-differ"), (lambda v: round(v, 3), "data-differ"), (lambda v: 1.006 * v, "other-weights")],
    ids=["to the last digit", "to the digits that are written", "near by"],
)  # fmt: skip
def test_a_reported_figure_is_of_other_inputs_only_as_exactly_as_it_is_written(change, cause):
    net, (x, y) = mlp(), toy()
    fit(net.train(), loader((x, y)), 12)
    said = change(evaluated(net, loader((x * 2 - 1, y))))
    found = compare.diagnose(net, loader((x, y)), loss=CE, reported={"evaluate_loss": said})
    assert found.findings[0].cause == cause
    assert found.harmful == (cause == "data-differ")


def test_a_model_that_was_never_trained_is_said_to_be_so():
    net = mlp()
    assert any(
        "if this model should have been trained" in n
        for n in compare.diagnose(net, loader(toy()), loss=CE).notes
    )
    fit(net.train(), loader(toy()), 2)
    assert not any("initialiser" in note for note in compare.diagnose(net, loader(toy()), loss=CE).notes)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_small_head_that_no_file_has_filled_is_seen(loaded):
    net = mlp(hidden=12)
    said = fit(net.train(), loader(toy()), 12)
    state = {name: value for name, value in net.state_dict().items() if loaded or not name.startswith("6")}
    other = mlp(hidden=12, seed=5)
    other.load_state_dict(state, strict=False)
    reported = {"loss": said, "evaluate_loss": evaluated(other, loader(toy()))}
    found = compare.diagnose(other, loader(toy()), loss=CE, reported=reported)
    assert found.harmful != loaded
    if not loaded:
        assert found.findings[0].cause == "other-weights"
        assert "6.weight" in found.findings[0].evidence


@pytest.mark.parametrize(("factor", "cause"), [(255, "data-differ"), (250, "other-weights")])
def test_a_loss_that_is_large_on_few_samples_hides_no_other_scale(factor, cause):
    x = (1.6 * torch.randn(800, 8, generator=torch.Generator().manual_seed(1))).exp()
    x[:64] = x[:64].clamp(max=2)  # the samples that come first are tame
    y = x[:, :1] * 0.5 + 0.1 * x[:, 1:2]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    fit(net, loader((x, y)), 3, loss=F.mse_loss)
    reported = {"evaluate_loss": evaluated(net, loader((factor * x, y)), F.mse_loss)}
    found = compare.diagnose(net, loader((x, y)), loss=F.mse_loss, reported=reported)
    assert causes(found) == [cause]


def doubled(outputs, y):
    return CE(outputs.softmax(1), y)


@pytest.mark.parametrize(
    ("own", "theirs", "outputs", "words"),
    [
        (CE, doubled, 3, "a softmax or sigmoid too many"),
        (
            lambda o, y: BCE(o[:, 0], y),
            lambda o, y: BCE(o[:, 0].sigmoid(), y),
            1,
            "a softmax or sigmoid too many",
        ),
    ],
    ids=["softmax", "sigmoid"],
)
@pytest.mark.parametrize("where", ["loss", "evaluate_loss"])
def test_probabilities_that_one_loss_takes_for_logits_are_seen(own, theirs, outputs, words, where):
    x, y = toy(classes=max(2, outputs))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, outputs))
    data = loader((x, y.float() if outputs == 1 else y))
    reported = {"loss": fit(net, data, 8, loss=theirs if where == "loss" else own)}
    reported |= {"evaluate_loss": evaluated(net, data, own if where == "loss" else theirs)}
    found = compare.diagnose(net, data, loss=own, reported=reported)
    assert (causes(found), found.harmful) == (["metric"], True)
    assert words in found.findings[0].evidence
    # as far from it as weights that moved take a figure, it is no such loss
    near_by = reported | {where: 1.2 * reported[where]}
    assert "metric" not in causes(compare.diagnose(net, data, loss=own, reported=near_by))


def test_probabilities_of_a_model_that_ends_with_a_softmax_are_taken_for_logits_by_one_loss_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(1))
    likely = lambda outputs, y: F.nll_loss(outputs.log(), y)  # noqa: E731
    reported = {
        "loss": fit(net, loader(toy()), 8, loss=likely),
        "evaluate_loss": evaluated(net, loader(toy()), CE),
    }
    found = compare.diagnose(net, loader(toy()), loss=likely, reported=reported)
    assert (causes(found), found.harmful) == (["metric"], True)
    assert "taken for logits" in found.findings[0].evidence


class Targets(torch.utils.data.Dataset):
    """The same inputs with targets that are made otherwise, and inputs with noise where that is asked for."""

    def __init__(self, data, make, noise=0.0):
        (self.x, self.y), self.make, self.noise = data, make, noise

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i] + self.noise * torch.randn_like(self.x[i]), self.make(self.y[i])


@pytest.mark.parametrize(
    ("make", "cause"),
    [(torch.exp, "data-differ"), (lambda y: y * (1 + 1e-6), "none")],
    ids=["scaled", "rounded"],
)
def test_targets_that_no_sample_of_fits_has_did_not_come_apart_from_their_inputs(make, cause):
    x, _ = toy()
    y = x[:, :1].tanh()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    fit(net, loader((x, y)), 8, loss=F.mse_loss)
    theirs = torch.utils.data.DataLoader(Targets((x, y), make), 32)
    found = compare.diagnose(net, loader((x, y)), loss=F.mse_loss, evaluate_data=theirs)
    assert causes(found) == [cause]
    assert found.harmful == (cause == "data-differ")


def test_evaluations_inputs_that_are_drawn_anew_are_not_fits_augmentation():
    net = mlp()
    fit(net.train(), loader(toy()), 12)
    noisy = torch.utils.data.DataLoader(Targets(toy(), lambda y: y, noise=0.6), 32)
    found = compare.diagnose(net, loader(toy()), loss=CE, evaluate_data=noisy)
    assert causes(found) == ["random-evaluation"]
    found = compare.diagnose(net, noisy, loss=CE, evaluate_data=loader(toy()))
    assert "random-evaluation" not in causes(found)
