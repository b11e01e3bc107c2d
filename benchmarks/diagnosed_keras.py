"""Keras's side of `benchmarks.cost_of_diagnosis`: models, one evaluation, a fit with and without the callback."""

from __future__ import annotations

from typing import Any

import keras

import compare
import compare.keras
from benchmarks.watched import Trained

name, ways = "keras", ("fit",)
L = keras.layers


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
    model, found = resnet50(size) if kind == "ResNet50" else small(size), Trained()
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: found.epoch())]
    if watched:
        callbacks.append(found.watching(compare.keras.Diagnose(arrays, verbose=False)))
    found.begin()
    found.figures = model.fit(*arrays, epochs=10, batch_size=32, verbose=0, callbacks=callbacks).history
    found.epoch()
    return found


def _compiled(model: Any) -> Any:
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
