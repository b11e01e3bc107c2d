"""Keras's side of `benchmarks.cost_of_diagnosis`: models, one evaluation, a fit with and without the callback."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import keras

import compare
import compare.keras

name, ways = "keras", ("fit",)
L = keras.layers


@dataclass
class Trained:
    """Seconds of a training and of each epoch without what came after it, and the figures that it gave."""

    seconds: float = 0.0
    epochs: list[float] = field(default_factory=list)
    figures: Any = None


def resnet50(size: int) -> Any:
    keras.utils.set_random_seed(0)
    return _compiled(keras.applications.ResNet50(weights=None, classes=2, input_shape=(size, size, 3)))


def small(size: int) -> Any:
    keras.utils.set_random_seed(0)
    parts: list[Any] = [keras.Input((size, size, 3))]
    for channels in (16, 32, 64):
        parts += [L.Conv2D(channels, 3, padding="same"), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D()]
    head = [L.GlobalAveragePooling2D(), L.Dropout(0.3), L.Dense(2, activation="softmax")]
    return _compiled(keras.Sequential([*parts, *head]))


def data(arrays: Any) -> Any:
    return arrays


def batch(arrays: Any) -> Any:
    return arrays


def evaluate(model: Any, given: Any) -> float:
    return float(model.evaluate(*given, batch_size=32, verbose=0, return_dict=True)["loss"])


def diagnose(model: Any, given: Any, **options: Any) -> Any:
    return compare.diagnose(model, given, batch_size=32, **options)


def train(kind: str, arrays: Any, way: str, watched: bool) -> Trained:
    size = arrays[0].shape[1]
    model, clock = resnet50(size) if kind == "ResNet50" else small(size), _Clock()
    callbacks = [clock, *([compare.keras.Diagnose(arrays, verbose=False)] if watched else [])]
    start = time.perf_counter()
    history = model.fit(*arrays, epochs=10, batch_size=32, verbose=0, callbacks=callbacks)
    return Trained(time.perf_counter() - start, clock.epochs, history.history)


class _Clock(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(time.perf_counter() - self.start)


def _compiled(model: Any) -> Any:
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
