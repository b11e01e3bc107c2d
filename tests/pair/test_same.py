"""Three ports without a mistake are found to compute and train the same."""

import pytest

from tests.pair import sources

PAIRS = {
    "convolutions": (sources.CNN_KERAS, sources.CNN_TORCH),
    "attention": (sources.MIXER_KERAS, sources.MIXER_TORCH),
    "recurrent": (sources.RECURRENT_KERAS, sources.RECURRENT_TORCH),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_port_is_the_same_through_training(judge, name):
    outcome = judge(*PAIRS[name])
    assert outcome.verdict == "same", outcome.first
    assert {stage.name for stage in outcome.stages} >= {"forward", "gradients", "parameters"}
    assert all(row.same for stage in outcome.stages for row in stage.rows)


@pytest.mark.parametrize("name", PAIRS)
def test_every_array_of_a_right_port_has_its_partner(judge, name):
    found = judge(*PAIRS[name]).map
    assert found.bindings
    assert all(one.side == "torch" and "bias" in one.name for one in found.left)


BIASED_KERAS = """
import keras
from keras import layers as L

def build():
    keras.utils.set_random_seed(1)
    i = keras.Input((16, 16, 3))
    x = L.ReLU()(L.BatchNormalization(name="bn")(L.Conv2D(4, 3, name="conv")(i)))
    return keras.Model(i, L.Dense(2, activation="softmax", name="out")(L.GlobalAveragePooling2D()(x)))
"""
BIASED_TORCH = """
import torch
from torch import nn

class Norm(nn.BatchNorm2d):
    def forward(self, x):
        y = super().forward(x)
        if self.training:
            self.running_mean.data += 0.0
        return y

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.out = nn.Conv2d(3, 4, 3), Norm(4, eps=1e-3, momentum=0.01), nn.Linear(4, 2)
    def forward(self, x):
        return self.out(torch.relu(self.bn(self.conv(x))).mean((2, 3)))

def build():
    torch.manual_seed(0)
    return Net()
"""


def test_a_bias_that_a_normalisation_takes_out_again_is_no_difference(judge):
    """Its gradient is nothing but rounding, of which Adam makes steps, and the moving mean holds them."""
    outcome = judge(BIASED_KERAS, BIASED_TORCH, steps=10)
    assert outcome.verdict == "same", outcome.first


def test_a_moving_mean_that_is_off_by_little_beside_the_spread_is_one(judge):
    outcome = judge(BIASED_KERAS, BIASED_TORCH.replace("+= 0.0", "+= 1e-9"), steps=2)
    assert (outcome.verdict, outcome.first.stage) == ("differs", "statistics")
