"""Small networks, data and training loops that the diagnosis is tried on."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)


def toy(count=256, shift=0.0, scale=1.0, seed=1, width=8, classes=3):
    """Normal inputs ``(N, width)``, moved and scaled, whose class is the largest of a few fixed projections."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(count, width, generator=g)
    w = torch.randn(width, classes, generator=torch.Generator().manual_seed(99))
    return shift + scale * z, (z @ w).argmax(1)


def mlp(width=8, hidden=24, classes=3, drop=0.0, momentum=0.1, norm=nn.BatchNorm1d, seed=0):
    torch.manual_seed(seed)
    parts = []
    for size in (width, hidden):
        parts += [nn.Linear(size, hidden), norm(hidden, momentum=momentum), nn.ReLU()]
        parts += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*parts, nn.Linear(hidden, classes))


def loader(data, size=32, shuffle=False):
    return DataLoader(TensorDataset(*data), size, shuffle=shuffle)


def fit(net, batches, epochs=10, rate=0.01, loss=F.cross_entropy, settle=True):
    """Train, the last epoch with next to no learning rate, and return the loss of that epoch."""
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], rate)
    for epoch in range(epochs):
        if settle and epoch == epochs - 1:
            optimizer.param_groups[0]["lr"] = 1e-5
        total = count = 0
        for x, y in batches:
            optimizer.zero_grad()
            value = loss(net(x), y)
            value.backward()
            optimizer.step()
            total, count = total + value.item() * len(y), count + len(y)
    return total / count


@torch.no_grad()
def evaluated(net, batches, loss=F.cross_entropy):
    """The loss of a person's own evaluation, each batch counting as its samples."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    parts = [(loss(net(x), y).item(), len(y)) for x, y in batches]
    for module, mode in modes.items():
        module.training = mode
    return sum(value * size for value, size in parts) / sum(size for _, size in parts)


def trained(net, batches, loss=F.cross_entropy, **options):
    """A network, trained, with the figures that a person would have seen."""
    seen = {"loss": fit(net.train(), batches, loss=loss, **options)}
    return net, seen | {"evaluate_loss": evaluated(net, batches, loss)}


copied = copy.deepcopy


def norms(net):
    """The layers that keep statistics."""
    return [module for module in net.modules() if hasattr(module, "running_mean")]
