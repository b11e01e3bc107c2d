"""Whatever a module keeps in its attributes comes back, however deep, and however a diagnosis ends."""

import gc
import random
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import compare
from compare.spec import InputError
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import loader, mlp, toy
from torch_impl.probing import Subject

parametrizations = nn.utils.parametrizations


class Hoarder(nn.Module):
    """Changes everything that it keeps at every call, and may fail at one, whatever is put back in between."""

    made = 0

    def __init__(self, error=None, at=0):
        super().__init__()
        type(self).made = 0
        self.net, self.error, self.at = mlp(drop=0.3), error, at
        self.register_buffer("average", torch.zeros(8))
        self.calls, self.array, self.box = 0, np.zeros(3), SimpleNamespace(count=0, tensor=torch.zeros(2))
        self.around = [0]
        self.around.append(self.around)
        self.cache, self.last, self.seen = {"deep": [[torch.zeros(2)], {"n": [1]}]}, deque([1], maxlen=2), {1}
        self.numpy, self.old = np.random.default_rng(3), np.random.RandomState(3)
        self.python, self.torch = random.Random(3), torch.Generator().manual_seed(3)

    def forward(self, x):
        self.calls += 1
        self.array += 1
        self.around[0] += 1
        self.box.count += 1
        self.box.tensor += 1
        self.cache["deep"][0][0] += 1
        self.cache["deep"][0].append(x)
        self.cache["deep"][1]["n"].append(self.calls)
        self.last.append(self.calls)
        self.seen.add(self.calls)
        self.average = 0.9 * self.average + 0.1 * x.detach().mean(0)
        self.numpy.random(), self.old.rand(), self.python.random(), random.random(), np.random.rand()  # noqa: NPY002
        noise = torch.randn(x.shape, generator=self.torch)
        type(self).made += 1
        if 0 < self.at <= self.made:
            raise self.error
        return self.net(x + 0.01 * noise)

    def held(self):
        deep = self.cache["deep"]
        numbers = [
            self.calls,
            self.around[0],
            len(self.around),
            self.box.count,
            len(deep[0]),
            deep[1]["n"],
            list(self.last),
            sorted(self.seen),
        ]
        tensors = [t.tolist() for t in (self.average, self.box.tensor, deep[0][0], self.torch.get_state())]
        states = [self.numpy.bit_generator.state, self.python.getstate(), self.old.get_state()[1].tolist()]
        drawn = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # noqa: NPY002
        return [numbers, tensors, states, self.array.tolist(), drawn]


@pytest.mark.parametrize(
    ("error", "at"),
    [(None, 0), (RuntimeError("mine"), 1), (RuntimeError("mine"), 6), (KeyboardInterrupt(), 3), (SystemExit(3), 9)],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)  # fmt: skip
def test_what_a_module_keeps_comes_back(error, at):
    net = Hoarder(error, at).train()
    before = net.held()
    if error is None:
        assert compare.diagnose(net, loader(toy(96)), loss=CE).probes.restored == "same"
    else:
        with pytest.raises((KeyboardInterrupt, SystemExit, InputError)):
            compare.diagnose(net, loader(toy(96)), loss=CE)
    assert net.held() == before
    net.at = 0
    net(torch.randn(4, 8))  # the comparison sees one call
    assert net.held() != before


NETS = {
    "weight norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(8, 8)), nn.BatchNorm1d(8)),
    "spectral norm": lambda: nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(8, 8)), nn.BatchNorm1d(8)
    ),
    "orthogonal": lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(8, 8)), nn.BatchNorm1d(8)),
    "an average of weights": lambda: torch.optim.swa_utils.AveragedModel(mlp()),
    "compiled": lambda: torch.compile(mlp(), backend="eager"),
}


@pytest.mark.parametrize("kind", NETS)
def test_networks_that_change_themselves_are_put_back(kind):
    torch.manual_seed(0)
    net = NETS[kind]().train()
    net(torch.randn(16, 8))
    before = {name: values.clone() for name, values in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    assert compare.diagnose(net, loader(toy(64)), loss=CE).probes.restored == "same"
    assert modes == [module.training for module in net.modules()]
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_where_its_generator_was(workers):
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.as_tensor(values) for values in toy(64))
    data = DataLoader(TensorDataset(x, y), 16, shuffle=True, num_workers=workers, generator=generator)
    before = generator.get_state()
    assert compare.diagnose(mlp(), data, loss=F.cross_entropy).probes.restored == "same"
    assert torch.equal(before, generator.get_state())


class Counting(nn.Module):
    """A loss, or a metric, that counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.register_buffer("asked", torch.zeros(()))
        self.calls = 0

    def forward(self, outputs, targets):
        self.asked += 1
        self.calls += 1
        return F.cross_entropy(outputs, targets)


def test_a_loss_and_a_metric_that_count_are_left_alone():
    loss, metric = Counting(), Counting()
    found = compare.diagnose(mlp(), loader(toy(64)), loss=loss, metrics={"mine": metric})
    assert found.measured["evaluate_mine"] == pytest.approx(found.measured["evaluate_loss"], rel=1e-6)
    assert [int(one.asked) for one in (loss, metric)] == [loss.calls, metric.calls] == [0, 0]


class Failing(nn.Module):
    """Fails from a call on, whatever is put back in between."""

    made = 0

    def __init__(self, net, error=None, at=0):
        super().__init__()
        self.net, self.error, self.at, self.calls = net, error, at, 0
        type(self).made = 0

    def forward(self, x):
        self.calls += 1
        type(self).made += 1
        if 0 < self.at <= self.made:
            raise self.error
        return self.net(x)


def around(net, optimizer):
    """What stands around a module's values: what trains, gradients, hooks, attributes, the optimizer's own state."""
    gradients = [None if p.grad is None else p.grad.tolist() for p in net.parameters()]
    hooks = [
        [*map(id, m._forward_hooks.values()), *map(id, m._backward_hooks.values()), *m._forward_pre_hooks]
        for m in net.modules()
    ]
    state = [{k: torch.as_tensor(v).tolist() for k, v in one.items()} for one in optimizer.state.values()]
    return [
        [(id(p), p.requires_grad) for p in net.parameters()],
        gradients,
        hooks,
        [sorted(vars(m)) for m in net.modules()],
        [m.training for m in net.modules()],
        state,
        str(optimizer.param_groups),
        (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()),
    ]


@pytest.mark.parametrize(
    ("error", "at"), [(None, 0), (RuntimeError("mine"), 5), (KeyboardInterrupt(), 8)], ids=str
)
def test_what_stands_around_a_module_comes_back(error, at):
    net = mlp(drop=0.3).train()
    net[0].weight.requires_grad_(False)
    net[2].eval()
    net[3].register_forward_hook(lambda *given: None)
    net[1].register_full_backward_hook(lambda *given: None)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 0.01)
    for x, y in loader(toy(64)):
        optimizer.zero_grad()
        CE(net(x), y).backward()
        optimizer.step()
    model = Failing(net, error, at)
    before = around(model, optimizer)
    if error is None:
        assert compare.diagnose(model, loader(toy(96)), loss=CE).probes.restored == "same"
    else:
        with pytest.raises((KeyboardInterrupt, InputError)):
            compare.diagnose(model, loader(toy(96)), loss=CE)
    assert around(model, optimizer) == before


class Hides(nn.Module):
    """Keeps a module in a plain list, where PyTorch doesn't find it, and one of that one's in a dictionary."""

    def __init__(self):
        super().__init__()
        self.net, self.parts = mlp(), [mlp(), {"deep": mlp()}]

    def forward(self, x):
        return self.net(x) + 0.1 * self.parts[0](x) + 0.1 * self.parts[1]["deep"](x)


def test_what_hidden_modules_keep_comes_back():
    net = Hides().train()
    values = [net.parts[0].state_dict(), net.parts[1]["deep"].state_dict()]
    before = [{name: tensor.clone() for name, tensor in one.items()} for one in values]
    assert compare.diagnose(net, loader(toy(64)), loss=CE).probes.restored == "same"
    assert all(torch.equal(one[k], kept[k]) for one, kept in zip(values, before, strict=True) for k in kept)
    net(torch.randn(8, 8))
    assert not all(
        torch.equal(one[k], kept[k]) for one, kept in zip(values, before, strict=True) for k in kept
    )


class Momentum(nn.Module):
    """A copy of the network follows it at every call, and the copy's outputs count, as in contrastive learning."""

    def __init__(self):
        super().__init__()
        self.net, self.copy = nn.Linear(8, 3), nn.Linear(8, 3).requires_grad_(False)

    def forward(self, x):
        with torch.no_grad():
            for slow, fast in zip(self.copy.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, 0.1)
        return self.net(x) + self.copy(x)


@pytest.mark.parametrize(("net", "weights"), [(Momentum(), True), (mlp(drop=0.3), False)])
def test_between_measurements_weights_are_put_back_only_where_passes_change_them(net, weights):
    """All of them come back at the end; to copy them each time takes as long as a pass does."""
    subject = Subject(net, loss=CE)
    batches = [subject.batch(raw) for raw in loader(toy(64), 16)]
    before = subject.state()
    parameter = next(net.parameters())
    with subject.kept():
        with subject.kept():  # nothing is known yet of what a pass changes
            subject.layers(batches[:2])
            parameter.data += 1
        assert subject.state() == before
        with subject.kept():
            parameter.data += 1
        assert (subject.state() == before) == weights
    assert subject.state() == before


@pytest.mark.parametrize("somebody", [False, True])
def test_the_garbage_collector_leaves_alone_what_was_there_and_looks_at_it_again_afterwards(somebody):
    net, counts = mlp(), []
    net.register_forward_hook(lambda module, inputs, outputs: counts.append(gc.get_freeze_count()))
    gc.unfreeze()  # the tests' own
    try:
        if somebody:
            gc.freeze()
        compare.diagnose(net, loader(toy(64), 16), loss=F.cross_entropy)
        assert all(counts)
        assert bool(gc.get_freeze_count()) == somebody
    finally:
        gc.freeze()
