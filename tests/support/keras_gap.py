"""The small network of `gap_checks` in Keras."""

import json
from dataclasses import asdict

import keras

from compare.frameworks import FRAMEWORKS
from keras_impl import layers
from tests.support import gap_checks

SIDE = FRAMEWORKS["keras"].implementation


def build(dropout, drop=layers.CounterDropout, decay=layers.DECAY, outputs=1):
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(6, 3, use_bias=False, name="conv")(inputs)
    x = layers.BatchNorm(decay=decay, name="bn")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(16, activation="relu", name="head_dense_1")(x)
    x = drop(dropout, seed=0, name="head_dropout")(x)
    activation = "sigmoid" if outputs == 1 else "softmax"
    return keras.Model(inputs, keras.layers.Dense(outputs, activation=activation, name="head_dense_2")(x))


def explanations():
    """Of three epochs under each policy, as JSON."""
    return json.dumps(gap_checks.everything(SIDE, build), default=asdict)
