"""A Keras model as the experiment's subject, on whichever backend Keras runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compare.gap.observed import Arrays
from compare.semantics.experiment import Batch
from compare.semantics.spelling import Spelling

NAMES = ("gamma", "beta", "moving_mean", "moving_variance")
ORDEALS = ("fit", "save_load", "compile")  # in this order on one model: compile is what changes it


class KerasSubject:
    """A compiled model around one BatchNormalization layer; see `compare.semantics.experiment.Subject`."""

    ordeals = ORDEALS

    def __init__(self, model: Any, spelling: Spelling) -> None:
        self.model, self.spelling = model, spelling
        self.bn = next(
            layer for layer in _leaves(model) if isinstance(layer, keras.layers.BatchNormalization)
        )
        if not self.bn.built:
            model(keras.ops.zeros(spelling.shape))
        self.epsilon, self.tolerance = self.bn.epsilon, spelling.tolerance

    def arrays(self) -> Arrays:
        """Return the layer's arrays."""
        return {name: np.array(getattr(self.bn, name), "float64") for name in NAMES}

    def set(self, arrays: Arrays) -> None:
        """Set the layer's arrays, and renormalisation's own averages to the moving statistics."""
        for name, array in arrays.items():
            getattr(self.bn, name).assign(array.astype("float32"))
        if self.bn.renorm:
            deviation = np.sqrt(arrays["moving_variance"] + self.epsilon).astype("float32")
            self.bn.renorm_mean.assign(arrays["moving_mean"].astype("float32"))
            self.bn.renorm_stddev.assign(deviation)
            self.bn.moving_stddev.assign(deviation)

    def fit(self, batches: list[Batch]) -> list[tuple[float, Arrays]]:
        """Fit an epoch of the batches, in their order."""
        x, y = (np.concatenate(arrays).astype("float32") for arrays in zip(*batches, strict=True))
        watch = Watch(self)
        if keras.backend.backend() == "torch":  # it traces nothing: what an earlier fit was given is over
            self.model.optimizer.given = set()
        size = len(x) // len(batches)
        self.model.fit(x, y, batch_size=size, shuffle=False, verbose=0, callbacks=[watch])
        return watch.steps

    def gradient(self) -> bool:
        """Whether the optimizer was given gamma's gradient."""
        return id(self.bn.gamma) in getattr(self.model.optimizer, "given", ())

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> float:
        """Evaluate one batch."""
        x, y = x.astype("float32"), y.astype("float32")
        return float(self.model.evaluate(x, y, batch_size=len(x), verbose=0))

    def after(self, ordeal: str) -> KerasSubject:
        """Fit more (which the first measurement has done), compile again, or save and load."""
        if ordeal == "compile":
            self.model.compile("sgd", "mse")
        if ordeal != "save_load":
            return self
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            self.model.save(path)
            own = {type(self.model).__name__: type(self.model)}
            return KerasSubject(keras.saving.load_model(path, custom_objects=own), self.spelling)


class Watch(keras.callbacks.Callback):
    """Keep each step's own loss and the layer's arrays after it."""

    def __init__(self, subject: KerasSubject) -> None:
        super().__init__()
        self.subject = subject
        self.steps: list[tuple[float, Arrays]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Take the step's loss out of the mean over the epoch so far."""
        _ = self.model  # on JAX, reading it brings the variables up to date
        before = sum(loss for loss, _ in self.steps)
        self.steps.append((float(logs["loss"]) * (batch + 1) - before, self.subject.arrays()))


@contextmanager
def subject(spelling: Spelling) -> Iterator[KerasSubject]:
    """Build a spelling's model; every SGD meanwhile remembers, as ``given``, what it got gradients of.

    Raises:
        ValueError: the backend refuses the spelling.
    """
    apply = keras.optimizers.SGD.apply

    def remember(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        variables = self._trainable_variables if trainable_variables is None else trainable_variables
        self.given = {id(v) for g, v in zip(grads, variables, strict=True) if g is not None}
        return apply(self, grads, trainable_variables)

    keras.optimizers.SGD.apply = remember
    try:
        yield KerasSubject(spelling.build(), spelling)
    finally:
        keras.optimizers.SGD.apply = apply


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _leaves(layer) if isinstance(layer, keras.Model) else (layer,)
