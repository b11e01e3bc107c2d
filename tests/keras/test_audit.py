"""What a Keras model's BN layers do, by what they did."""

import keras
import numpy as np
import pytest

from compare.frameworks import FRAMEWORKS
from tests.support.audit_tests import *  # noqa: F403
from tests.support.keras_models import randomise

BN = keras.layers.BatchNormalization


class Net(keras.Model):
    """Convolution, BN, mean over positions; the call has its own mind."""

    def __init__(self, way, **options):
        super().__init__()
        self.way, self.conv, self.bn = way, keras.layers.Conv2D(4, 3), BN(name="bn", **options)
        self.top = keras.layers.Dense(1)
        if way == "never reached":
            self.spare = BN(name="spare")
            self.spare.build((None, 3, 3, 4))

    def call(self, x, training=None):  # without the argument `fit` has no mode to pass on
        x, told = self.conv(x), {}
        if self.way in ("told to evaluate by the call", "told to train by the call"):
            told = {"training": self.way == "told to train by the call"}
        y = self.bn(x, **told)
        y = y + self.bn(-x) if self.way == "shared by two branches" else y
        return self.top(keras.ops.mean(keras.ops.relu(y), (1, 2)))


class Holder(keras.layers.Layer):
    def __init__(self, **told):
        super().__init__(name=told.pop("name"))
        self.bn, self.told = BN(name="bn"), told

    def call(self, x):
        return self.bn(x, **self.told)


def nested():
    inputs = keras.Input((5, 5, 3))
    x = Holder(training=False, name="outer")(Holder(name="inner")(inputs))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture
def wing():
    return FRAMEWORKS["keras"].implementation


@pytest.fixture
def person():
    def build(name):
        affine = {
            "without scale": {"scale": False},
            "without scale and shift": {"scale": False, "center": False},
        }
        model = nested() if name == "nested twice" else Net(name, **affine.get(name, {}))
        model(np.zeros((1, 5, 5, 3), np.float32))
        if name == "frozen by its variables":
            model.bn.gamma.trainable = model.bn.beta.trainable = False
        return randomise(model)

    return build
