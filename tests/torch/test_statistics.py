"""Population statistics of any PyTorch module: the tests of both frameworks, and what only PyTorch has."""

import copy
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from compare.frameworks import FRAMEWORKS
from tests.support.arrays import random_arrays
from tests.support.population_tests import *  # noqa: F403
from tests.support.population_tests import Wing, assert_same, images, split
from torch_impl import bn_policy, statistics, transfer, weights


class Branches(nn.Module):
    """A user's model: a residual branch, functional calls, dropout, BN layers of two ranks."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6, affine=False)
        self.top = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(x + self.bn2(input=self.conv2(x)))
        return self.top(x.mean((2, 3)))


class Keeping(nn.Module):
    """Layers that hand features on past one another: in an attribute, in a dictionary, and by a hook."""

    def __init__(self):
        super().__init__()
        self.features = {}
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.bn3, self.bn4, self.bn5 = nn.BatchNorm2d(4), nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        hooked = {}
        self.conv2.register_forward_hook(lambda module, inputs, outputs: hooked.update(one=outputs))
        self.seen = lambda: hooked["one"]

    def forward(self, x):
        self.skip = self.conv1(x)
        x = self.conv2(self.bn1(self.skip).relu())
        self.features["deep"] = x
        x = self.bn3(self.bn2(x).relu() + self.skip)
        x = self.bn4(torch.cat([x, self.features["deep"]], 1))
        return self.bn5(x + torch.cat([x[:, :4], self.seen()], 1)).mean((2, 3))


def branches():
    model = randomise(Branches())
    model.bn2.eval()
    model.bn1.num_batches_tracked += 7
    return model


def volumes():
    net = nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, (2, 3, 3)), nn.BatchNorm3d(4), nn.ReLU())
    return randomise(nn.Sequential(net, nn.Conv3d(4, 2, 1), nn.BatchNorm3d(2)))


def resnet(variant="v1", numerics="native"):
    model = transfer.build("resnet50", variant, 0.25, numerics=numerics)
    weights.from_arrays(model, random_arrays(weights.to_arrays(model)))
    return model


def randomise(model):
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2 - 0.7 * (tensor.ndim > 1))
    return model.train()


def brute_force(model, x):
    """One batch of all samples in training mode, with a momentum that keeps nothing of the old statistics."""
    model, counts = copy.deepcopy(model).train(), {}
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    layers = statistics.batch_norms(model)
    for name, layer in layers.items():
        layer.momentum = 1.0
        layer.decay, layer.variance = 0.0, "unbiased"
        layer.register_forward_hook(
            lambda layer, args, output, name=name: counts.update({name: output.numel() / output.shape[1]})
        )
    with torch.no_grad():
        output = model(torch.from_numpy(x).to(next(model.parameters()).dtype).permute(0, 3, 1, 2))
    expected = {
        name: (mean, variance * (counts[name] - 1) / counts[name])
        for name, (mean, variance) in statistics.moving(model).items()
    }
    return expected, output


def snapshot(model):
    hooks = [len(module._forward_pre_hooks) for module in model.modules()]
    tensors = [tensor.numpy().copy() for tensor in model.state_dict().values()]
    modes = [(module.training, getattr(module, "track_running_stats", None)) for module in model.modules()]
    return tensors, modes, hooks, threading.active_count()


@contextmanager
def watched(model, where, act):
    module = {"first": model.conv1, "last": model.top[3]}[where]
    handle = module.register_forward_hook(lambda *_: act())
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def double():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


class Wayward(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way, self.a, self.b = way, nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        big = len(x) > 4
        if self.way == "twice":
            return self.a(self.b(self.a(x)))
        if self.way == "never":
            return self.a(x)
        if self.way == "order":
            return self.a(self.b(x)) if big else self.b(self.a(x))
        return self.b(self.a(x)) if big else self.a(x)


@pytest.fixture
def wing():
    return Wing(
        FRAMEWORKS["torch"].implementation,
        {
            "branches": branches,
            "volumes": volumes,
            "matched": lambda: resnet("v1", "matched"),
            "keeping": lambda: randomise(Keeping()),
        },
        branches,
        lambda way: randomise(Wayward(way)),
        resnet,
        double,
        brute_force,
        snapshot,
        watched,
        ("bn2", "bn1"),
    )


def test_population_of_vectors():
    model = randomise(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))).double()
    x = images()[:, 0, 0]
    mean, variance = statistics.population(model, split(x, [5, 5, 2]))["1"]
    rows = model[0](torch.from_numpy(x).double()).detach().numpy()
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-12)


def test_layers_come_in_the_order_of_the_data():
    model, x = branches(), images()
    assert (
        list(statistics.population(model, [x])) == list(brute_force(model, x)[0]) == ["bn1", "bn2", "top.2"]
    )


def test_a_layer_that_keeps_no_moving_statistics_is_named():
    with pytest.raises(ValueError, match="layer 0 keeps no moving statistics"):
        statistics.moving(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)))


def test_a_policy_that_stands_for_evaluation_doesnt_change_the_population_either():
    model, x = resnet().double(), images(8, 32)
    expected = statistics.population(model, split(x, [4, 4]))
    bn_policy.apply(model, bn_policy.Policy("head", "batch", False, "batch"))
    model.eval()
    bn_policy.hold(model)
    before = snapshot(model)
    assert_same(statistics.population(model, split(x, [6, 2])), expected, 1e-12)
    assert snapshot(model)[1:] == before[1:]


def test_recalibrate_leaves_dtypes_and_counters():
    model = branches()
    statistics.recalibrate(model, split(images(), [5, 5, 2]))
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32, torch.int64}
    assert model.bn1.num_batches_tracked == 7


def test_names_of_other_models_are_their_paths():
    assert "layer1.0.bn1" in statistics.batch_norms(torchvision.models.resnet18(weights=None))
    model = nn.Module()
    model.backbone, model.bn = nn.Sequential(nn.BatchNorm2d(3)), nn.BatchNorm2d(3)
    assert list(statistics.batch_norms(model)) == ["backbone.0", "bn"]


def test_a_persons_own_loader_recalibrates_as_arrays_do():
    """A report's code is pasted with the loader at hand: its tensors are (N, C, H, W) already."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    x = torch.randn(12, 3, 6, 3, generator=torch.Generator().manual_seed(0)) * 2 + 1
    arrays = [batch.permute(0, 2, 3, 1).numpy() for batch in x.split(4)]
    wanted = statistics.population(model, arrays)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(12)), batch_size=4)
    for batches in (loader, list(x.split(4)), [(batch.double(), None) for batch in x.split(4)]):
        assert_same(statistics.population(model, batches), wanted, 1e-6)
    statistics.recalibrate(model, loader)
    np.testing.assert_allclose(model[1].running_mean.numpy(), wanted["1"][0], rtol=1e-6)
