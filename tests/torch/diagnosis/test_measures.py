"""What the diagnosis measures is what the framework itself gives, and nothing of the model changes by it."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from compare.spec import InputError
from tests.torch.diagnosis.stories import CE, Siamese, told
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, norms, toy
from torch_impl.probing import Subject


def subject_of(net, data, **options):
    """A subject whose layers were watched, and its batches."""
    subject = Subject(net, loss=CE, **options)
    batches = [subject.batch(raw) for raw in data]
    subject.layers(batches[:2])
    return subject, batches


def image_network(norm=nn.BatchNorm2d):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 5, 3), norm(5), nn.ReLU(), nn.Conv2d(5, 4, 2), norm(4), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()  # fmt: skip


def test_population_is_that_of_one_batch_of_all_samples():
    net = image_network()
    x, y = 2 + 3 * torch.randn(40, 2, 7, 7).double(), torch.randint(0, 3, (40,))
    subject, batches = subject_of(net, loader((x, y), 16))
    with subject.kept():
        pooled, _ = subject.population(batches)
    for norm in norms(net):
        norm.momentum = 1.0
    net.train()
    net(x)
    for name, norm in (("1", net[1]), ("4", net[4])):
        count = 40 * (25 if name == "1" else 16)
        np.testing.assert_allclose(pooled[name][0], norm.running_mean.numpy(), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(pooled[name][1] * count / (count - 1), norm.running_var.numpy(), rtol=1e-6)


def test_mean_of_the_batches_statistics_is_what_a_moving_average_goes_to():
    net = image_network()
    x, y = 2 + 3 * torch.randn(40, 2, 7, 7).double(), torch.randint(0, 3, (40,))
    subject, batches = subject_of(net, loader((x, y), 10))
    with subject.kept():
        seen = subject.run(batches, frozenset(subject.present()), collect=True).seen
    for norm in norms(net):
        norm.reset_running_stats()
        norm.momentum = None
    net.train()
    for batch in batches:
        net(batch.inputs)
    for name, norm in (("1", net[1]), ("4", net[4])):
        np.testing.assert_allclose(seen[name].batch_mean, norm.running_mean.numpy(), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(seen[name].batch_variance, norm.running_var.numpy(), rtol=1e-6)


def test_calls_of_a_shared_layer_are_pooled_one_by_one():
    net = Siamese()
    a, b = torch.randn(32, 8), 5 + 2 * torch.randn(32, 8)
    data = [((a[i : i + 16], b[i : i + 16]), torch.zeros(16, dtype=torch.long)) for i in (0, 16)]
    subject, batches = subject_of(net, data)
    with subject.kept():
        pooled, _ = subject.population(batches)
    assert list(pooled) == ["bn", "bn#2"]
    np.testing.assert_allclose(pooled["bn"][0], a.double().mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pooled["bn#2"][1], b.double().var(0, unbiased=False), rtol=1e-5)


def test_measured_figures_are_those_of_a_loop_of_ones_own():
    data = loader(toy(130), 32)
    net, _, options = told(mlp(drop=0.3, momentum=0.02), data, epochs=5)
    found = compare.diagnose(net, data, **options)
    assert found.measured["evaluate_loss"] == pytest.approx(evaluated(net, data), rel=1e-6)
    net.train()
    for module in net:
        module.training = isinstance(module, nn.BatchNorm1d)
    with torch.no_grad():
        by_hand = sum(CE(copy.deepcopy(net)(x), y).item() * len(y) for x, y in data) / 130
    subject, batches = subject_of(net.train(), data)
    with subject.kept():
        fit_without_dropout = subject.run(batches, frozenset({"normalisation"})).figures["loss"]
    assert fit_without_dropout == pytest.approx(by_hand, rel=1e-6)


def test_the_same_masks_are_drawn_whatever_else_stands_as_in_evaluation():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Dropout(0.5)
    )
    masks = []
    net[4].register_forward_hook(lambda module, args, output: masks.append(output == 0))
    subject, batches = subject_of(net.train(), loader(toy(32)))
    masks.clear()
    with subject.kept():
        subject.run(batches, frozenset({"dropout"}))
        subject.run(batches, frozenset({"dropout", "normalisation"}))
    assert torch.equal(*masks)
    assert 0.3 < masks[0].float().mean() < 0.7


def state(net):
    values = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    modes = [module.training for module in net.modules()]
    return {name: tensor.detach().clone() for name, tensor in values.items()}, modes, torch.get_rng_state()


def assert_untouched(net, before):
    tensors, modes, generator = state(net)
    assert modes == before[1]
    assert torch.equal(generator, before[2])
    assert all(torch.equal(tensors[name], values) for name, values in before[0].items())


class Interrupted(nn.Module):
    """Changes everything it can reach, and raises at a certain call, whatever is put back in between."""

    made = 0

    def __init__(self, error, at):
        super().__init__()
        type(self).made = 0
        self.net, self.error, self.at, self.calls, self.seen = mlp(drop=0.3), error, at, 0, []
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.seen.append(len(x))
        self.count += 1
        type(self).made += 1
        if 0 < self.at <= self.made:
            raise self.error
        return self.net(x)


@pytest.mark.parametrize("at", [1, 2, 4, 7, 10, 12])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("mine")], ids=["Ctrl-C", "an error"])
def test_all_state_is_put_back_when_the_persons_own_code_raises(error, at):
    net = Interrupted(error, at).train()
    net.net[0].weight.grad = torch.ones_like(net.net[0].weight)
    before = state(net)
    with pytest.raises((KeyboardInterrupt, InputError)):
        compare.diagnose(net, loader(toy(96)), loss=CE)
    assert_untouched(net, before)
    assert net.calls == 0
    assert net.seen == []
    assert torch.equal(net.net[0].weight.grad, torch.ones_like(net.net[0].weight))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_an_optimizer_goes_on_as_if_nothing_had_been_asked():
    def train(asked):
        net, data = mlp(drop=0.4), loader(toy(96), 32, shuffle=True)
        fit(net.train(), data, 2, settle=False)
        if asked:
            assert compare.diagnose(net, data, loss=CE).probes.restored == "same"
        fit(net, data, 2, settle=False)
        return net.state_dict()

    one, other = train(False), train(True)
    assert all(torch.equal(values, other[name]) for name, values in one.items())


def test_memory_is_bounded_by_the_limit():
    """Of data of many times the limit no more batches are alive at a time than with the limit."""
    alive, most = set(), [0]

    class Counted(torch.utils.data.Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, i):
            import weakref

            x = torch.full((8,), float(i)) + torch.arange(8.0)
            alive.add(i)
            weakref.finalize(x, alive.discard, i)
            return x, i % 3

    def collate(rows):
        import weakref

        x, y = torch.stack([row[0] for row in rows]), torch.tensor([row[1] for row in rows])
        key = ("batch", int(x[0, 0]))
        alive.add(key)
        weakref.finalize(x, alive.discard, key)
        most[0] = max(most[0], sum(isinstance(k, tuple) for k in alive))
        return x, y

    data = torch.utils.data.DataLoader(Counted(), 10, collate_fn=collate)
    compare.diagnose(mlp(), data, loss=CE, limit=40)
    assert most[0] <= 4 + 3


def test_a_diagnosis_is_the_same_twice():
    data = loader(toy(96), 32, shuffle=True)
    net, _, options = told(mlp(drop=0.3), data, epochs=3)
    one, other = (compare.diagnose(net, data, **options).to_json() for _ in range(2))
    assert one == other


def test_functional_calls_are_seen_as_what_they_are():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 3)
            self.register_buffer("mean", torch.zeros(16))
            self.register_buffer("var", torch.ones(16))

        def forward(self, x):
            x = F.batch_norm(self.first(x), self.mean, self.var, training=self.training)
            return self.last(F.dropout(x, 0.5, training=self.training))

    subject, batches = subject_of(Functional().train(), loader(toy(64)))
    rows = {row.kind: row for row in subject.layers(batches[:2])}
    assert (rows["batch_norm"].fit, rows["batch_norm"].evaluate, rows["batch_norm"].moves) == (
        "batch",
        "moving",
        True,
    )
    assert (rows["F.dropout"].fit, rows["F.dropout"].evaluate) == ("on", "off")
    assert subject.present() == {"normalisation", "dropout"}
