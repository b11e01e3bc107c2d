"""torch_impl.statistics: population statistics are those of one batch of all samples, for any module."""

import copy
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from tests.support.arrays import random_arrays, relative
from torch_impl import bn_policy, lockstep, statistics, transfer, weights

SPLITS = [[12], [5, 5, 2], [1] * 12, [7, 5]]


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


def branches():
    return randomise(Branches()).double()


def volumes():
    net = nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, (2, 3, 3)), nn.BatchNorm3d(4), nn.ReLU())
    return randomise(nn.Sequential(net, nn.Conv3d(4, 2, 1), nn.BatchNorm3d(2))).double()


def resnet(variant="v1", numerics="native"):
    model = transfer.build("resnet50", variant, 0.25, numerics=numerics).double()
    weights.from_arrays(model, random_arrays(weights.to_arrays(model)))
    return model


def randomise(model):
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2 - 0.7 * (tensor.ndim > 1))
    return model.train()


def images(n=12, size=12):
    """Samples whose mean and spread grow from first to last, so that batches differ."""
    rng = np.random.default_rng(1)
    scale = np.linspace(0.5, 3, n).reshape(-1, 1, 1, 1)
    return (rng.normal(scale, scale, (n, size, size, 3))).astype("float32")


def split(x, sizes):
    return np.split(x, np.cumsum(sizes)[:-1])


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


def assert_same(found, expected, tolerance):
    assert list(found) == list(expected)
    for name, pair in expected.items():
        for a, b in zip(found[name], pair, strict=True):
            assert a.dtype == np.float64
            assert relative(a, b) < tolerance, name


def furthest(found, expected):
    return max(relative(a, b) for name in expected for a, b in zip(found[name], expected[name], strict=True))


def snapshot(model):
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    hooks = [len(module._forward_pre_hooks) for module in model.modules()]
    return state, [module.training for module in model.modules()], hooks, threading.active_count()


def assert_unchanged(model, before):
    after = snapshot(model)
    assert after[1:] == before[1:]
    for key, tensor in after[0].items():
        assert torch.equal(tensor, before[0][key]), key


@pytest.mark.parametrize("build", [branches, volumes])
@pytest.mark.parametrize("sizes", SPLITS)
def test_population_is_that_of_one_batch_of_all_samples(build, sizes):
    model, x = build(), images()
    assert_same(statistics.population(model, split(x, sizes)), brute_force(model, x)[0], 1e-12)


@pytest.mark.parametrize(("variant", "numerics"), [("v1", "matched"), ("v1.5", "native")])
def test_population_of_resnet50(variant, numerics):
    model, x = resnet(variant, numerics), images(12, 64)
    expected, _ = brute_force(model, x)
    found = statistics.population(model, split(x, [5, 5, 2]))
    assert_same(found, expected, 1e-12)
    assert_same(statistics.population(model, split(x, [8, 4])), found, 1e-12)
    # 53 layers deep, one float32 batch is itself 4e-5 from float64: the limit is what the framework does
    single, _ = brute_force(model.float(), x)
    assert_same(statistics.population(model, split(x, [5, 5, 2])), expected, 2 * furthest(single, expected))
    assert furthest(single, expected) < 1e-4


def test_population_of_vectors():
    model = randomise(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))).double()
    x = images()[:, 0, 0]
    mean, variance = statistics.population(model, split(x, [5, 5, 2]))["1"]
    rows = model[0](torch.from_numpy(x).double()).detach().numpy()
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-12)


def test_many_values_are_pooled_piece_by_piece(monkeypatch):
    model, x = branches(), images()
    expected, _ = brute_force(model, x)
    monkeypatch.setattr(lockstep, "_PIECE", 100)
    assert_same(statistics.population(model, [x]), expected, 1e-12)


@pytest.mark.parametrize("sizes", SPLITS[:2])
def test_a_sample_that_counts_three_times_is_three_samples(sizes, monkeypatch):
    monkeypatch.setattr(lockstep, "_PIECE", 100)
    model, x = branches(), images()
    counts = np.arange(12) % 4 + 1
    expected, _ = brute_force(model, np.repeat(x, counts, axis=0))
    found = statistics.population(model, split(x, sizes), split(counts, sizes))
    assert_same(found, expected, 1e-12)


def test_what_the_model_makes_of_the_batches_can_be_had():
    model, x = branches(), images()
    _, output = brute_force(model, x)
    taken = {}
    statistics.population(model, split(x, [5, 5, 2]), take=taken.__setitem__)
    assert relative(np.concatenate([taken[i] for i in range(3)]), output) < 1e-12


def test_weights_that_a_layer_cannot_give_its_vectors():
    with pytest.raises(ValueError, match="weights are of 7 samples; a layer.s input has"):
        statistics.population(branches(), [images()], [np.ones(7)])


def without_between_batch_term(moments):
    counts, means, squares = (np.array(values) for values in zip(*moments, strict=True))
    return counts @ means / counts.sum(), squares.sum(0) / counts.sum()


def every_batch_alike(moments):
    mean = np.mean([mean for _, mean, _ in moments], axis=0)
    return mean, np.mean([squares / count + (m - mean) ** 2 for count, m, squares in moments], axis=0)


def unbiased(moments):
    count = sum(count for count, _, _ in moments)
    mean, variance = lockstep_pool(moments)
    return mean, variance * count / (count - 1)


lockstep_pool = lockstep.pool


@pytest.mark.parametrize("mutant", [without_between_batch_term, every_batch_alike, unbiased])
def test_a_wrong_pooling_would_be_seen(monkeypatch, mutant):
    model, x = branches(), images()
    expected, _ = brute_force(model, x)
    monkeypatch.setattr(lockstep, "pool", mutant)
    found = statistics.population(model, split(x, [5, 5, 2]))
    with pytest.raises(AssertionError):
        assert_same(found, expected, 1e-4)


def test_normalising_with_the_moving_statistics_would_be_seen(monkeypatch):
    model, x = branches(), images()
    expected, _ = brute_force(model, x)
    monkeypatch.setattr(statistics, "_put", lambda layers, statistics: None)
    found = statistics.population(model, split(x, [5, 5, 2]))
    with pytest.raises(AssertionError):
        assert_same(found, expected, 1e-4)


def test_every_batch_is_read_and_run_once():
    class Counting(list):
        read = ()

        def __getitem__(self, i):
            self.read = (*self.read, i)
            return super().__getitem__(i)

    model, runs = branches(), []
    model.conv1.register_forward_hook(lambda *_: runs.append(1))
    batches = Counting((batch, None) for batch in split(images(), [5, 5, 2]))
    statistics.population(model, batches)
    assert batches.read == (0, 1, 2)
    assert len(runs) == 3


def test_model_is_left_as_it_was():
    model, x = branches(), images()
    model.bn1.eval()
    model.bn1.num_batches_tracked += 7
    before = snapshot(model)
    statistics.population(model, split(x, [5, 5, 2]))
    assert_unchanged(model, before)


@pytest.mark.parametrize("fails", ["first conv", "last layer", "data"])
def test_model_is_left_as_it_was_by_a_batch_that_raises(fails):
    class Failing(list):
        def __getitem__(self, i):
            if i == 1 and fails == "data":
                raise OSError("image 7 is unreadable")
            return super().__getitem__(i)

    model, x = branches(), images()
    expected = statistics.population(model, [x])
    before = snapshot(model)
    calls = []

    def hook(*_):
        calls.append(1)
        if len(calls) == 2:
            raise OSError("image 7 is unreadable")

    module = {"first conv": model.conv1, "last layer": model.top[3], "data": nn.Identity()}[fails]
    handle = module.register_forward_hook(hook)
    with pytest.raises(OSError, match="image 7"):
        statistics.population(model, Failing(split(x, [5, 5, 2])))
    handle.remove()
    assert_unchanged(model, before)
    assert_same(statistics.population(model, split(x, [5, 5, 2])), expected, 1e-12)


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


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("twice", "layer a is used twice"),
        ("never", "never reach layer b"),
        ("order", "different orders: a, b"),
        ("early end", "different orders: b, the end"),
    ],
)
def test_ways_without_a_population(way, message):
    model = randomise(Wayward(way))
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        statistics.population(model, split(images(), [5, 5, 2]))
    assert_unchanged(model, before)


def test_no_batches_and_no_moving_statistics():
    with pytest.raises(ValueError, match="batches is empty"):
        statistics.population(branches(), [])
    with pytest.raises(ValueError, match="layer 0 keeps no moving statistics"):
        statistics.moving(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)))


def test_a_policy_doesnt_change_the_population():
    model, x = resnet(), images(8, 32)
    expected = statistics.population(model, split(x, [4, 4]))
    bn_policy.apply(model, bn_policy.Policy("head", "batch", False, "batch"))
    model.eval()
    bn_policy.hold(model)
    before = snapshot(model)
    assert_same(statistics.population(model, split(x, [6, 2])), expected, 1e-12)
    assert_unchanged(model, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recalibrate(dtype):
    model, x = branches().to(dtype), images()
    statistics_of_all, output = brute_force(model, x)
    model.bn1.num_batches_tracked += 7
    statistics.recalibrate(model, split(x, [5, 5, 2]))
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert_same(statistics.moving(model), statistics_of_all, tolerance)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {dtype, torch.int64}
    assert model.bn1.num_batches_tracked == 7
    model.eval()
    with torch.no_grad():
        now = model(torch.from_numpy(x).to(dtype).permute(0, 3, 1, 2))
    assert relative(now, output) < tolerance


def test_substituted():
    model = branches().float()
    before = snapshot(model)
    found = statistics.moving(model)
    other = {name: (mean + 1 / 3, variance * 7) for name, (mean, variance) in found.items()}
    partly = {"bn2": other["bn2"]}
    with statistics.substituted(model, partly):
        assert_same(statistics.moving(model), found | partly, 1e-6)
    assert_unchanged(model, before)
    with pytest.raises(ZeroDivisionError), statistics.substituted(model, other):
        1 / 0  # noqa: B018
    assert_unchanged(model, before)
    for wrong, message in [
        ({"bn2": other["bn2"], "bn9": other["bn2"]}, "'bn9'; the model's are bn1, bn2, top.2"),
        ({"bn1": other["bn1"], "bn2": (np.zeros(1), np.ones(1))}, r"bn2 are \(1,\); its are \(6,\)"),
    ]:
        with pytest.raises(ValueError, match=message), statistics.substituted(model, wrong):
            pass
        assert_unchanged(model, before)


def test_moving_is_a_copy():
    model = branches()
    found = statistics.moving(model)["bn1"]
    kept = [array.copy() for array in found]
    randomise(model.float())
    model.bn1.running_mean += 1
    np.testing.assert_array_equal(found, kept)


def test_names():
    model = resnet("v1")
    arrays = weights.to_arrays(model)
    expected = [key.removesuffix("/gamma") for key in arrays if key.endswith("/gamma")]
    assert list(statistics.batch_norms(model)) == expected
    assert expected[:3] == ["conv1_bn", "conv2_block1_0_bn", "conv2_block1_1_bn"]
    for name, (mean, variance) in statistics.moving(model).items():
        np.testing.assert_array_equal(mean, arrays[f"{name}/moving_mean"])
        np.testing.assert_array_equal(variance, arrays[f"{name}/moving_variance"])
    assert list(statistics.batch_norms(model.backbone)) == expected
    assert "layer1.0.bn1" in statistics.batch_norms(torchvision.models.resnet18(weights=None))
