"""What a PyTorch model's BN layers do, by what they did."""

import pytest
import torch
from torch import nn

from compare.frameworks import FRAMEWORKS
from tests.support.audit_tests import *  # noqa: F403
from tests.support.torch_models import randomise


class Net(nn.Module):
    """Convolution, BN, mean over positions; the call has its own mind."""

    def __init__(self, way, **options):
        super().__init__()
        self.way, self.conv, self.bn, self.top = (
            way,
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4, **options),
            nn.Linear(4, 1),
        )
        if way == "never reached":
            self.spare = nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.conv(x)
        if self.way in ("told to evaluate by the call", "told to train by the call"):
            self.bn.train(self.way == "told to train by the call")
        x = self.bn(x) + self.bn(-x) if self.way == "shared by two branches" else self.bn(x)
        return self.top(x.relu().mean((2, 3)))


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Module(), nn.Module()
        self.inner.bn, self.outer.bn, self.top = nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.Linear(3, 1)

    def train(self, mode=True):
        super().train(mode)
        self.outer.eval()
        return self

    def forward(self, x):
        return self.top(self.outer.bn(self.inner.bn(x)).mean((2, 3)))


@pytest.fixture
def wing():
    return FRAMEWORKS["torch"].implementation


@pytest.fixture
def person():
    def build(name):
        affine = name not in ("without scale", "without scale and shift")
        model = Nested() if name == "nested twice" else Net(name, affine=affine)
        if name == "without scale":
            model.bn.bias = nn.Parameter(torch.zeros(4))
        if name == "frozen by its variables":
            model.bn.requires_grad_(False)
        return randomise(model).train()

    return build
