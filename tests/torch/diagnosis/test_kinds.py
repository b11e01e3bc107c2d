"""Any normalisation, any shape of data: the same question gets the same answer."""

import pytest
import timm
import torch
from torch import nn
from torch.utils.data import TensorDataset
from torchvision.ops import FrozenBatchNorm2d

import compare
from tests.torch.diagnosis.stories import CE, told
from tests.torch.diagnosis.toys import fit, loader, mlp, toy


class Arithmetic(nn.Module):
    """A batch normalisation that calls nothing of PyTorch's."""

    def __init__(self, size, momentum):
        super().__init__()
        self.register_buffer("moving_mean", torch.zeros(size))
        self.register_buffer("moving_var", torch.ones(size))
        self.momentum = momentum

    def forward(self, x):
        mean, var = self.moving_mean, self.moving_var
        if self.training:
            mean, var = x.mean(0), x.var(0, unbiased=False)
            with torch.no_grad():
                self.moving_mean.lerp_(mean, self.momentum)
                self.moving_var.lerp_(var, self.momentum)
        return (x - mean) / (var + 1e-5).sqrt()


class Replacing(nn.BatchNorm1d):
    """A subclass that gives itself new buffers instead of changing those it has."""

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(0), x.var(0, unbiased=False)
            self.running_mean = torch.lerp(self.running_mean, mean.detach(), self.momentum)
            self.running_var = torch.lerp(self.running_var, var.detach(), self.momentum)
        return self.weight * (x - mean) / (var + self.eps).sqrt() + self.bias


class Activated(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x).relu()


def no_affine(size, momentum):
    return nn.BatchNorm1d(size, affine=False, momentum=momentum)


KINDS = (nn.BatchNorm1d, nn.SyncBatchNorm, Arithmetic, Replacing, Activated, no_affine)


@pytest.mark.parametrize("norm", KINDS, ids=lambda norm: norm.__name__)
def test_an_average_that_has_not_arrived_is_seen_in_any_kind(norm):
    net, data, options = told(mlp(norm=norm, momentum=0.01), loader(toy(256, 3.0), 64), epochs=6)
    found = compare.diagnose(net, data, **options)
    assert found.findings[0].cause == "stale-statistics"
    assert found.findings[0].value > 0.9 * found.gap
    rows = [row for row in found.audit.rows if row.role == "normalisation"]
    assert [(row.fit, row.evaluate, row.moves) for row in rows] == [("batch", "moving", True)] * 2
    assert found.probes.restored == "same"


@pytest.mark.parametrize("norm", KINDS, ids=lambda norm: norm.__name__)
def test_the_same_kinds_are_healthy_when_the_average_has_arrived(norm):
    net, data, options = told(mlp(norm=norm, momentum=0.1), loader(toy(), 32), epochs=15)
    assert not compare.diagnose(net, data, **options).harmful


def test_a_plain_mean_of_all_batches_is_healthy():
    net, data, options = told(mlp(momentum=None), loader(toy(), 32), epochs=15)
    found = compare.diagnose(net, data, **options)
    assert not found.harmful
    assert found.audit.rows[0].decay is None


def small(norm):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )


PICTURES = (torch.randn(64, 3, 8, 8) + 1, torch.arange(64) % 3)


def frozen(norm):
    """Statistics of another data set, which stay."""
    norm.running_mean.copy_(torch.arange(8) / 4 - 1)
    norm.running_var.copy_(torch.arange(8) / 4 + 0.5)
    return norm


ALIKE = (
    frozen(FrozenBatchNorm2d(8)), frozen(timm.layers.FrozenBatchNormAct2d(8)), nn.GroupNorm(2, 8),
    nn.LayerNorm([8, 6, 6]), nn.RMSNorm([8, 6, 6]), timm.layers.LayerNorm2d(8), nn.InstanceNorm2d(8),
    nn.LocalResponseNorm(2),
)  # fmt: skip


@pytest.mark.parametrize("norm", ALIKE, ids=lambda norm: type(norm).__name__)
def test_normalisations_without_modes_have_nothing_to_say_and_that_is_said(norm):
    net, data, options = told(small(norm), loader(PICTURES), epochs=2)
    found = compare.diagnose(net, data, **options)
    assert [finding.cause for finding in found.findings] == ["none"]
    assert found.findings[0].evidence.startswith("Nothing in this model acts differently in training and in")
    assert {row.fit for row in found.audit.rows} == {row.evaluate for row in found.audit.rows}


SLOW = 0.01
# layers of images and volumes that keep an average, by what they are told of its decay
AVERAGED = {
    "BatchNorm2d": (nn.BatchNorm2d(8, momentum=SLOW), 2),
    "BatchNorm3d": (nn.BatchNorm3d(8, momentum=SLOW), 3),
    "a lazy one": (nn.LazyBatchNorm2d(momentum=SLOW), 2),
    "without scale and centre": (nn.BatchNorm2d(8, affine=False, momentum=SLOW), 2),
    "InstanceNorm": (nn.InstanceNorm1d(8, momentum=SLOW, affine=True, track_running_stats=True), 1),
    "timm's": (timm.layers.BatchNormAct2d(8, momentum=SLOW), 2),
    "timm's for several devices": (timm.layers.SyncBatchNormAct(8, momentum=SLOW), 2),
}


def shapes(rank):
    """Signals, images or volumes ``(96, 3, 6, ...)`` whose class is the channel with the largest mean."""
    z = torch.randn(96, 3, *[16 if rank == 1 else 6] * rank, generator=torch.Generator().manual_seed(0))
    return z + 3, z.flatten(2).mean(2).argmax(1)


@pytest.mark.parametrize("kind", AVERAGED)
def test_an_average_that_has_not_arrived_is_seen_in_any_shape(kind):
    norm, rank = AVERAGED[kind]
    plain = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[rank]
    torch.manual_seed(0)
    net = nn.Sequential(plain(3, 8, 3, bias=False), norm, nn.ReLU(), nn.Flatten(2), Mean(), nn.Linear(8, 3))
    net, data, options = told(net, loader(shapes(rank)), epochs=8)
    found = compare.diagnose(net, data, **options)
    assert found.findings[0].cause == "stale-statistics"
    assert [(row.fit, row.evaluate, row.decay, row.calls) for row in found.audit.rows] == [
        ("sample" if "Instance" in kind else "batch", "moving", 1 - SLOW, 1)
    ]
    # by itself, on arrays made up for it, it acts as it does with data
    alone = [(row.fit, row.evaluate, row.moves) for row in compare.audit(net).rows]
    assert alone == [(row.fit, row.evaluate, row.moves) for row in found.audit.rows]


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(2)


class Counts(nn.Module):
    """Called by a function of PyTorch's on statistics of its own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(24))
        self.register_buffer("var", torch.ones(24))

    def forward(self, x):
        return nn.functional.batch_norm(x, self.mean, self.var, training=self.training)


def test_a_layer_around_a_function_has_one_row():
    net, data, options = told(mlp(norm=lambda size, momentum: Counts()), loader(toy()), epochs=12)
    rows = compare.diagnose(net, data, **options).audit.rows
    assert [(row.fit, row.evaluate, row.moves) for row in rows] == [("batch", "moving", True)] * 2


def test_of_a_layer_that_keeps_a_spread_alone_it_is_said_that_it_moves():
    net, data, options = told(small(timm.layers.EvoNorm2dB0(8)), loader(PICTURES), epochs=2)
    rows = compare.diagnose(net, data, **options).audit.rows
    assert [(row.kind, row.fit, row.evaluate, row.moves) for row in rows] == [
        ("EvoNorm2dB0", "on", "off", True)
    ]


def test_layers_of_timm_are_watched():
    torch.manual_seed(0)
    net = timm.create_model("resnet10t", num_classes=3, drop_rate=0.2)
    found = compare.audit(net)
    kinds = {row.kind for row in found.rows}
    assert any("BatchNorm" in kind for kind in kinds)
    assert all(
        row.fit == "batch" and row.evaluate == "moving" for row in found.rows if row.role == "normalisation"
    )


def test_a_layer_that_never_sees_data_is_said_to_be_unreached():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.spare = mlp(), nn.BatchNorm1d(5)

        def forward(self, x):
            return self.net(x)

    net, data, options = told(Spare(), loader(toy()), epochs=12)
    found = compare.diagnose(net, data, **options)
    assert {row.layer: row.fit for row in found.audit.rows}["spare"] == "unreached"
    assert not found.harmful


def stale():
    net = mlp(momentum=0.01)
    x, y = toy(128, 3.0)
    fit(net.train(), loader((x, y)), 8)
    return net, x, y


class Rows(torch.utils.data.IterableDataset):
    """Rows one after the other; nobody says how many."""

    def __init__(self, x, y):
        self.rows = x, y

    def __iter__(self):
        return zip(*self.rows, strict=True)


def in_bfloat16(batch):
    return batch[0].bfloat16(), batch[1]


@pytest.mark.parametrize(
    "form",
    [
        "numpy",
        "numpy in double precision",
        "weights",
        "a function of arrays",
        "a stream",
        "tensors",
        "list",
        "function",
        "dictionary",
        "bfloat16",
        "compiled",
    ],
)
def test_the_form_of_the_data_makes_no_difference(form):
    net, x, y = stale()
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 128, 32)]
    data = {
        "numpy": (x.numpy(), y.numpy()),
        "numpy in double precision": (x.double().numpy(), y.numpy()),
        "weights": (x, y, torch.ones(128)),
        "a function of arrays": lambda: (x, y),
        "a stream": torch.utils.data.DataLoader(Rows(x, y), 32),
        "tensors": (x, y),
        "list": batches,
        "function": lambda: iter(batches),
        "dictionary": [{"x": a, "labels": b} for a, b in batches],
        "bfloat16": [in_bfloat16(batch) for batch in batches],
        "compiled": loader((x, y)),
    }[form]
    net = net.bfloat16() if form == "bfloat16" else torch.compile(net) if form == "compiled" else net
    found = compare.diagnose(net, data, loss=CE, batch_size=32)
    assert found.findings[0].cause == "stale-statistics"
    assert found.samples == 128


def test_a_step_under_autocast_is_followed():
    net, x, y = stale()

    def step(model, batch):
        with torch.autocast("cpu", torch.bfloat16):
            return CE(model(batch[0]), batch[1])

    found = compare.diagnose(net, loader((x, y)), step=step)
    assert found.findings[0].cause == "stale-statistics"
    assert found.probes.alone_and_in_batch == "same"


def test_a_last_batch_of_one_sample_is_left_out_as_training_must_leave_it_out():
    net, x, y = stale()
    found = compare.diagnose(net, loader((torch.cat([x, x[:1]]), torch.cat([y, y[:1]]))), loss=CE)
    assert found.findings[0].cause == "stale-statistics"
    assert any("one sample" in note for note in found.notes)


def test_data_of_many_times_the_limit_are_passed_without_being_held():
    net = mlp(momentum=0.01)
    data = torch.utils.data.DataLoader(TensorDataset(*toy(1500, 3.0)), 50, shuffle=True)
    fit(net.train(), data, 2)
    found = compare.diagnose(net, data, loss=CE, limit=100)
    assert found.samples == 1500
    assert found.findings[0].cause == "stale-statistics"
