"""Causes in other networks, with other losses: 1-d and 3-d, nested, shared in time; regression, masks, several labels.

Each is a function that returns (model, data, options of `compare.diagnose`).
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import DropBlock2d, StochasticDepth

from tests.torch.diagnosis.stories import CE, plain, told
from tests.torch.diagnosis.toys import copied, evaluated, fit, loader, mlp, norms, toy

MSE, BCE = F.mse_loss, F.binary_cross_entropy_with_logits


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def signals(count=192, shift=0.0, scale=1.0, seed=0):
    """Signals ``(N, 3, 12)`` and a number each."""
    z = torch.randn(count, 3, 12, generator=drawn(seed))
    return shift + scale * z, (z[:, 0].mean(1) - z[:, 1].amax(1) + 0.5 * z[:, 2].std(1))[:, None]


def convolutions(momentum=0.1):
    torch.manual_seed(0)
    parts = []
    for size in (3, 12):
        parts += [nn.Conv1d(size, 12, 3, bias=False), nn.BatchNorm1d(12, momentum=momentum), nn.ReLU()]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(12, 1))


def volumes(count=48, shift=0.0, scale=1.0, seed=0):
    """Volumes ``(N, 1, 5, 5, 5)`` and a class for each of their points."""
    z = torch.randn(count, 1, 5, 5, 5, generator=drawn(seed))
    return shift + scale * z, (F.avg_pool3d(z, 3, 1, 1)[:, 0] > 0).long()


class Segmenter(nn.Module):
    """Nested, with layers in a dictionary."""

    def __init__(self, momentum=0.1):
        super().__init__()
        torch.manual_seed(0)
        first = {
            "conv": nn.Conv3d(1, 8, 3, padding=1, bias=False),
            "bn": nn.BatchNorm3d(8, momentum=momentum),
        }
        self.first = nn.ModuleDict(first)
        second = nn.Conv3d(8, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8, momentum=momentum), nn.ReLU()
        self.second, self.out = nn.Sequential(*second), nn.Conv3d(8, 2, 1)

    def forward(self, x):
        return self.out(self.second(self.first["bn"](self.first["conv"](x)).relu()))


def labels(count=256, shift=0.0, scale=1.0):
    """Rows and five labels each, none, some or all of them."""
    x, _ = toy(count)
    return shift + scale * x, (x @ torch.randn(8, 5, generator=drawn(7)) > 0).float()


def without_updates(net):
    for norm in norms(net):
        norm.momentum = 0.0
    return net


def stale_regression():
    return told(convolutions(0.01), loader(signals(128, 4.0, 2.0), 64), loss=MSE, epochs=20)


def stale_masks():
    return told(Segmenter(0.01), loader(volumes(48, 4.0, 2.0), 24), epochs=8)


def stale_labels():
    return told(mlp(classes=5, momentum=0.005), loader(labels(256, 2.0, 3.0), 64), loss=BCE, epochs=12)


def stale_loss_of_next_to_nothing():
    x, _ = toy(128, 3.0, 2.0)
    data = loader((x, (x[:, :1] - 3) / 200), 64)
    return told(mlp(classes=1, momentum=0.01), data, loss=MSE, epochs=20)


def foreign_regression():
    net = convolutions()
    fit(net.train(), loader(signals()), 15, loss=MSE)
    return told(without_updates(net), loader(signals(192, 5.0, 2.0, 3)), loss=MSE, epochs=6, rate=0.003)


def foreign_masks():
    net = Segmenter()
    fit(net.train(), loader(volumes(), 16), 8)
    return told(without_updates(net), loader(volumes(48, 5.0, 2.0, 3), 16), epochs=4, rate=0.003)


class KeepsStatistics(nn.BatchNorm1d):
    """The old Keras's frozen layer: the batch's own statistics in training, and no update."""

    def forward(self, x):
        mean, var = (None, None) if self.training else (self.running_mean, self.running_var)
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.training, 0.0, self.eps)


def foreign_by_a_subclass():
    source = mlp()
    fit(source.train(), loader(toy()), 12)
    net = mlp(norm=lambda size, momentum: KeepsStatistics(size))
    net.load_state_dict(source.state_dict())
    return told(net, loader(toy(shift=5.0, seed=3)), epochs=6, rate=0.003)


def noisy_masks_of_one_image():
    g = drawn()
    z, light = torch.randn(24, 1, 6, 6, generator=g), torch.randn(24, 1, 1, 1, generator=g)
    x, y = (
        (z + 4 * light) * (0.3 + 3 * torch.rand(24, 1, 1, 1, generator=g)),
        F.avg_pool2d(z, 3, 1, 1)[:, 0] > 0,
    )
    torch.manual_seed(0)
    parts = []
    for size in (1, 8):
        parts += [nn.Conv2d(size, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    return told(nn.Sequential(*parts, nn.Conv2d(8, 2, 1)), loader((x, y.long()), 1), epochs=15)


def noisy_regression_of_four():
    x, _ = toy(96)
    return told(mlp(classes=1, hidden=48), loader((x, x[:, :1] * x[:, 1:2]), 4), loss=MSE, epochs=60)


def unmixed_regression():
    x, y = signals(256)
    source = torch.arange(256) // 32
    moved = (3.0 * torch.randn(8, 3, generator=drawn(3)))[source][:, :, None]
    return told(
        convolutions(), loader((x * (0.5 + 0.3 * source)[:, None, None] + moved, y)), loss=MSE, epochs=15
    )


def unmixed_masks():
    x, y = volumes(64)
    source = (torch.arange(64) // 8).view(-1, 1, 1, 1, 1)
    x = x * (0.3 + 0.4 * source) + (6 * torch.randn(8, generator=drawn(3)))[source]
    return told(Segmenter(), loader((x, y), 8), epochs=10)


def decay_regression():
    g = drawn(4)
    x, y = signals(60)
    x = x * (0.3 + 2 * torch.rand(60, 1, 1, generator=g)) + 2 * torch.randn(60, 1, 1, generator=g)
    return told(convolutions(0.99), loader((x, y), 6), loss=MSE, epochs=20)


class InTime(nn.Module):
    """One normalisation for every step of a sequence."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.bn, self.out = nn.GRUCell(6, 16), nn.BatchNorm1d(6, momentum=0.05), nn.Linear(16, 2)

    def forward(self, x):
        state = torch.zeros(len(x), 16)
        for t in range(x.shape[1]):
            state = self.cell(self.bn(x[:, t]), state)
        return self.out(state)


def shared_in_time():
    x = torch.randn(192, 4, 6, generator=drawn()) + 4 * torch.arange(4)[:, None]
    return told(InTime(), loader((x, (x[:, 0, 0] * (x[:, 1, 1] - 4) > 0).long())), epochs=25)


class ManyLevels(nn.Module):
    """One head over three levels of a pyramid, as detectors have it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Sequential(nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 1))

    def forward(self, x):
        levels = x, 2 + 3 * F.avg_pool2d(x, 2), 8 * F.avg_pool2d(x, 4) - 6
        return torch.cat([F.interpolate(self.head(level), 8) for level in levels], 1)


def shared_by_levels():
    x = 2 * torch.randn(64, 4, 8, 8, generator=drawn())
    wanted = [F.interpolate(F.avg_pool2d(x, 2**k)[:, k : k + 1], 8) for k in range(3)]
    return told(ManyLevels(), loader((x, torch.cat(wanted, 1)), 16), loss=MSE, epochs=20)


def not_frozen_regression():
    net = convolutions(0.03)
    fit(net.train(), loader(signals()), 15, loss=MSE)
    net[:-1].requires_grad_(False)
    net[-1] = nn.Linear(12, 1)
    return told(net, loader(signals(192, 4.0, 2.0, 5)), loss=MSE, epochs=3)


class CallsTrain(nn.Module):
    """Its forward puts the normalisation into training mode."""

    def __init__(self):
        super().__init__()
        self.net = convolutions()

    def forward(self, x):
        for norm in norms(self):
            norm.train()
        return self.net(x)


def a_forward_that_calls_train():
    return told(CallsTrain(), loader(signals(96)), loss=MSE)


class StaysInTraining(nn.Sequential):
    def train(self, mode=True):
        return super().train(True)


def a_nested_part_that_stays_in_training():
    return told(nn.Sequential(StaysInTraining(*mlp(drop=0.3)), nn.Linear(3, 3)), loader(toy()))


def an_eval_that_does_nothing():
    kind = type("IgnoresEval", (nn.Sequential,), {"eval": lambda self: self})
    return told(kind(*mlp(drop=0.4)), loader(toy()))


class Autoencoder(nn.Module):
    """Draws its code, in evaluation, too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer = nn.Linear(8, 8), nn.Linear(4, 8)

    def forward(self, x):
        mean, log = self.inner(x).chunk(2, 1)
        return self.outer(mean + (log / 2).exp() * torch.randn_like(mean)), mean, log


def a_code_that_is_drawn():
    def step(model, batch):
        outputs, mean, log = model(batch[0])
        return {
            "loss": MSE(outputs, batch[0]) - 0.005 * (1 + log - mean**2 - log.exp()).sum(1).mean(),
            "n": len(mean),
        }

    return Autoencoder(), loader(toy()), {"step": step}


class Centred(nn.Module):
    """Moves its centre whatever the mode is."""

    def __init__(self):
        super().__init__()
        self.net = mlp()
        self.register_buffer("centre", torch.zeros(8))

    def forward(self, x):
        self.centre.mul_(0.9).add_(0.1 * x.mean(0).detach())
        return self.net(x - self.centre)


def a_centre_that_moves():
    return told(Centred(), loader(toy(shift=2.0)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, 0.3, batch_first=True)
        self.lstm, self.out = nn.LSTM(8, 16, 2, batch_first=True, dropout=0.5), nn.Linear(16, 2)

    def forward(self, x):
        return self.out(self.lstm(self.attention(x))[0][:, -1])


def dropout_inside_attention_and_lstm():
    x = torch.randn(128, 5, 8, generator=drawn())
    return told(Recurrent(), loader((x, (x[:, :, 0].sum(1) > 0).long())), epochs=6)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.out = (
            nn.Conv2d(1, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Conv2d(8, 2, 1),
        )
        self.path, self.block, self.whole = (
            StochasticDepth(0.5, "row"),
            DropBlock2d(0.3, 3),
            nn.Dropout2d(0.2),
        )

    def forward(self, x):
        x = self.a(x).relu()
        return self.out(self.whole(self.block(x + self.path(self.b(x).relu()))))


def paths_and_blocks_dropped():
    x = torch.randn(64, 1, 6, 6, generator=drawn())
    return told(Residual(), loader((x, (F.avg_pool2d(x, 3, 1, 1)[:, 0] > 0).long()), 16), epochs=8)


def a_head_that_was_not_loaded():
    net, (x, y) = mlp(classes=4), toy(classes=4)
    data = loader((x, y))
    seen = {"loss": fit(net.train(), data, 25)}
    other = copied(net)
    torch.manual_seed(3)
    other[-1] = nn.Linear(24, 4)
    return other, data, {"loss": CE, "reported": seen | {"evaluate_loss": evaluated(other, data)}}


class Divides(nn.Module):
    def forward(self, x):
        return x if self.training else x / (x - x)


def no_number_in_evaluation():
    return told(nn.Sequential(*plain(), Divides()), loader(toy()))


def threshold_of_masks():
    x = torch.randn(64, 1, 6, 6, generator=drawn())
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    data = loader((x, (F.avg_pool2d(x, 3, 1, 1) > 0).float()), 16)
    net, data, options = told(net, data, loss=BCE, epochs=2, rate=0.003)
    return (
        net,
        data,
        options | {"metrics": {"accuracy": lambda o, t: ((o > 0.5) == (t > 0.5)).float().mean()}},
    )
