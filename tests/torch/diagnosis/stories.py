"""What people meet with normalisation and modes, each small: a function that returns (model, data, options)."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from tests.torch.diagnosis.toys import copied, evaluated, fit, loader, mlp, norms, toy, trained

CE = F.cross_entropy


def told(net, data, loss=CE, **options):
    """Train, and give a model with what its person saw."""
    net, seen = trained(net, data, loss, **options)
    return net, data, {"loss": loss, "reported": seen}


def plain(drop=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Dropout(drop), nn.Linear(48, 3))


def pretrained():
    net = mlp()
    fit(net.train(), loader(toy()), 12)
    return net


def healthy():
    return told(mlp(), loader(toy()), epochs=15)


def nothing_acts():
    torch.manual_seed(0)
    return told(nn.Sequential(nn.Linear(8, 48), nn.LayerNorm(48), nn.ReLU(), nn.Linear(48, 3)), loader(toy()))


def average_that_has_not_arrived():
    return told(mlp(momentum=0.01), loader(toy(128, 3.0), 128), epochs=20)


def statistics_never_updated():
    return told(mlp(momentum=0.0), loader(toy(shift=3.0)))


def statistics_of_another_data_set():
    net = pretrained()
    for norm in norms(net):
        norm.momentum = 0.0
    return told(net, loader(toy(shift=5.0, seed=3)), epochs=6, rate=0.003)


def batches_of_one_source_each():
    x, y = toy(384)
    source = torch.arange(384) // 32
    x = (
        x * (0.5 + 0.2 * source[:, None])
        + (5.0 * torch.randn(12, generator=torch.Generator().manual_seed(2)))[source][:, None]
    )
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 3))
    return told(net, loader((x, y)), epochs=15)


def momentum_of_the_other_framework():
    return told(mlp(momentum=0.99), loader(toy(136, 2.0, 3.0)), epochs=20)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bn, self.hidden, self.out = nn.BatchNorm1d(8, momentum=0.05), nn.Linear(8, 16), nn.Linear(16, 2)

    def forward(self, a, b):
        a, b = (torch.tanh(self.hidden(self.bn(x))) for x in (a, b))
        return self.out((a - b) ** 2)


def one_layer_for_two_inputs():
    g = torch.Generator().manual_seed(1)
    a, same = torch.randn(256, 8, generator=g), torch.rand(256, generator=g) < 0.5
    b = 4 + 0.3 * torch.where(same[:, None], a, torch.randn(256, 8, generator=g))
    data = [((a[i : i + 64], b[i : i + 64]), same[i : i + 64].long()) for i in range(0, 256, 64)]
    net = Siamese()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(60):
        for inputs, targets in data:
            optimizer.zero_grad()
            CE(net(*inputs), targets).backward()
            optimizer.step()
    return net, data, {"loss": CE}


def _probe(shift, momentum=0.1):
    net = pretrained()
    net[:-1].requires_grad_(False)
    net[-1] = nn.Linear(24, 3)
    for norm in norms(net):
        norm.momentum = momentum
    return net, loader(toy(shift=shift, seed=3))


def frozen_backbone_drifts():
    net, data = _probe(5.0, 0.03)
    return told(net, data, epochs=3, rate=0.03)


def frozen_backbone_has_drifted_without_a_gap():
    net, data = _probe(1.0)
    return told(net, data, epochs=10, rate=0.03)


def frozen_backbone_in_evaluation_mode():
    net, data = _probe(1.0)
    net.train()
    for norm in norms(net):
        norm.eval()
    return net, data, {"loss": CE, "reported": {"loss": fit(net, data, 8, 0.03)}}


class Forgetful(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(drop=0.4)

    def forward(self, x):
        return self.net(x)

    def train(self, mode=True):
        return super().train()


def train_forgets_its_argument():
    return told(Forgetful(), loader(toy()))


class AlwaysBatch(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.bn, self.last = nn.Linear(8, 24), nn.BatchNorm1d(24), nn.Linear(24, 3)

    def forward(self, x):
        bn = self.bn
        x = F.batch_norm(self.first(x), bn.running_mean, bn.running_var, bn.weight, bn.bias, training=True)
        return self.last(x.relu())


def call_says_training():
    return told(AlwaysBatch(), loader(toy()))


def evaluated_in_training_mode():
    data = loader(toy(128, 3.0))
    net = mlp(drop=0.5)
    seen = {"loss": fit(net.train(), data, 8)}
    with torch.no_grad():
        seen["evaluate_loss"] = sum(CE(net(x), y).item() for x, y in data) / 4
    return net, data, {"loss": CE, "reported": seen}


def dropout_left_on():
    net, data, options = told(mlp(drop=0.4), loader(toy()))
    net.eval()
    net[3].train()
    net[7].train()
    return net, data, options


def untracked(size, momentum):
    return nn.BatchNorm1d(size, track_running_stats=False)


def batch_statistics_on_purpose():
    return told(mlp(norm=untracked), loader(toy()))


def batch_statistics_of_sorted_samples():
    x, y = toy()
    net, data, options = told(mlp(norm=untracked), loader((x, y)), epochs=20)
    order = y.argsort()
    return net, data, options | {"evaluate_data": loader((x[order], y[order])), "reported": None}


class Noise(nn.Module):
    def __init__(self, always):
        super().__init__()
        self.always = always

    def forward(self, x):
        return x + torch.randn_like(x) if self.always or self.training else x


def noise_that_never_stops():
    return told(nn.Sequential(Noise(True), mlp()), loader(toy()))


def noise_in_training():
    torch.manual_seed(0)
    return told(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), Noise(False), nn.Linear(32, 3)), loader(toy()))


def much_dropout():
    return told(plain(0.7), loader(toy()))


class Shift(nn.Module):
    """Moves each sample by a random amount, in training only."""

    def forward(self, x):
        return x + 1.5 * torch.rand(len(x), 1) if self.training else x


def augmentation_in_the_model():
    return told(nn.Sequential(Shift(), *plain()), loader(toy()), rate=0.003)


class Augmented(Dataset):
    def __init__(self, data):
        self.x, self.y = data

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i] + 0.7 * torch.randn(8), self.y[i]


def augmentation_in_the_data():
    data, net, clean = DataLoader(Augmented(toy()), 32, shuffle=True), plain(), loader(toy())
    seen = {"loss": fit(net.train(), data, 8), "evaluate_loss": evaluated(net, clean)}
    return net, data, {"loss": CE, "evaluate_data": clean, "reported": seen}


def average_without_buffers():
    data, net = loader(toy(shift=2.0)), mlp()
    mean = copied(net)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(20):
        for x, y in data:
            optimizer.zero_grad()
            CE(net(x), y).backward()
            optimizer.step()
            with torch.no_grad():
                for a, b in zip(mean.parameters(), net.parameters(), strict=True):
                    a.lerp_(b, 0.1)
    return mean, data, {"loss": CE, "reported": {"loss": evaluated(net, data)}}


def broken_statistics():
    net, data, _ = told(mlp(), loader(toy()))
    net[1].running_var[3] = float("nan")
    return net, data, {"loss": CE}


def infinite_variances():
    net, data, _ = told(mlp(), loader(toy()))
    net[1].running_var[:20] = float("inf")
    return net, data, {"loss": CE}


def instances_with_a_memory():
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (96,), generator=g)
    x = 0.3 * torch.randn(96, 2, 6, 6, generator=g)
    x[y == 1, 1, :3] += 1.0
    x = x * (0.3 + 3 * torch.rand(96, 1, 1, 1, generator=g)) + 3 * torch.randn(96, 1, 1, 1, generator=g)
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(8, affine=True, track_running_stats=True)
    net = nn.Sequential(
        nn.Conv2d(2, 8, 3), norm, nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    return told(net, loader((x, y)), epochs=20)
