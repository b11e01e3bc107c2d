"""The small network of `gap_checks` in PyTorch."""

import json
from dataclasses import asdict

from torch import nn

from compare.frameworks import FRAMEWORKS
from tests.support import gap_checks
from torch_impl import layers
from torch_impl.training import probabilities

SIDE = FRAMEWORKS["torch"].implementation


class Small(nn.Sequential):
    def logits(self, x):
        return super().forward(x)

    def forward(self, x):
        return probabilities(self.logits(x))


def build(dropout, drop=layers.CounterDropout, decay=layers.KERAS_DECAY, outputs=1, variance="biased"):
    model = Small()
    model.add_module("conv", nn.Conv2d(3, 6, 3, bias=False))
    model.add_module("bn", layers.BatchNorm(6, decay=decay, variance=variance))
    model.add_module("relu", nn.ReLU())
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("head_dense_1", nn.Linear(6, 16))
    model.add_module("head_relu", nn.ReLU())
    model.add_module("head_dropout", drop(dropout))
    model.add_module("head_dense_2", nn.Linear(16, outputs))
    return model


def explanations():
    """Of three epochs under each policy, as JSON."""
    return json.dumps(gap_checks.everything(SIDE, build), default=asdict)
