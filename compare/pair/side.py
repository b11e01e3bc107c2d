"""One framework's model in its own process: it is loaded, looked at, and takes steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from compare.frameworks import Framework
from compare.pair.records import Arrays
from compare.spec import InputError

MODULES = ("persons", "observing", "stepping", "updating")


def make(framework: Framework, dtype: str) -> Side:
    """A side in its process, which has imported the framework."""
    if framework.side == "torch":
        from compare.pair.trainer import Trainer

        return Trainer(framework, dtype)
    return Side(framework, dtype)


class Side:
    """A person's model of one framework."""

    def __init__(self, framework: Framework, dtype: str) -> None:
        self.framework, self.dtype = framework, dtype
        modules: list[Any] = [framework.module(name) for name in MODULES]
        self.persons, self.observing, self.stepping, self.updating = modules

    def open(self, reference: str) -> dict[str, Any]:
        """Load a model and say what it holds.

        Raises:
            InputError: it can't be had.
        """
        try:
            self.model, self.optimizer = self.persons.load(reference, self.dtype)
        except ValueError as error:
            raise InputError(" ".join(str(error).split())) from error
        configured = self.updating.configuration(self.optimizer) if self.optimizer is not None else None
        facts = {"optimizer": configured, "inputs": None, "loss": None}
        if self.framework.side == "keras":
            facts |= {"inputs": self.persons.inputs(self.model), "loss": self.persons.loss(self.model)}
        return facts

    def held(self) -> dict[str, dict]:
        """What arrays there are; a model that is built at its first call must have been called."""
        return self.observing.arrays(self.model)

    def decayed(self) -> dict[str, list[float]]:
        """array -> its factors of weight decay, in the gradient and apart from it."""
        return self.updating.decayed(self.model, self.optimizer)

    def penalties(self) -> dict[str, float]:
        """array -> twice the factor of its L2 penalty."""
        return self.updating.penalties(self.model)

    def added(self) -> dict[str, str]:
        """What else the loss has: array or layer -> words."""
        return self.updating.added(self.model)

    def constrained(self) -> dict[str, str]:
        """array -> the constraint that it is put back under."""
        return self.updating.constrained(self.model)

    def arrays(self, path: str) -> None:
        """Write the model's arrays."""
        save_file(_whole(self.stepping.arrays(self.model)), path)

    def observe(self, inputs: list[np.ndarray], training: bool, path: str) -> dict[str, Any]:
        """Run the model and write the values between its calls; the rest is returned."""
        record = self.observing.observe(self.model, inputs, training)
        save_file(_whole(record.pop("values")), path)
        return record

    def begin(self, settings: dict, loss: dict, head: list) -> None:
        """Make ready for steps."""
        self.state = self.stepping.arrays(self.model)
        self.steps = self.stepping.Steps(self.model, settings, loss, head)

    def step(self, inputs: list[np.ndarray], targets: list[np.ndarray], path: str) -> tuple[float, float]:
        """Take a step and write gradients and arrays, unless ``path`` is empty.

        Returns:
            The loss and its penalty's part.
        """
        loss, penalty, gradients = self.steps.step(inputs, targets)
        if path:
            arrays = {f"gradients/{name}": array for name, array in gradients.items()}
            arrays |= {f"arrays/{name}": array for name, array in self.steps.to_arrays().items()}
            save_file(_whole(arrays), path)
        return loss, penalty

    def evaluate(self, inputs: list[np.ndarray], targets: list[np.ndarray]) -> tuple[float, list[np.ndarray]]:
        """Loss and outputs in inference mode."""
        return self.steps.evaluate(inputs, targets)

    def put_back(self) -> None:
        """Set the arrays to what they were before the steps."""
        self.stepping.assign(self.model, self.state)

    def data(self, reference: str, most: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Load data that a person names.

        Raises:
            InputError: they can't be had.
        """
        try:
            return self.persons.data(reference, most)
        except ValueError as error:
            raise InputError(f"--data {' '.join(str(error).split())[:300]}") from error

    def build(self, inputs: list[np.ndarray]) -> None:
        """Call the model once: one that is written as a class has its arrays from then on."""
        self.observing.observe(self.model, [np.asarray(x) for x in inputs])

    def assign(self, path: str) -> None:
        """Set the model's arrays to a file's."""
        self.stepping.assign(self.model, load_file(path))

    def save(self, path: str) -> None:
        """Write the model's arrays as its framework's own file."""
        self.persons.save(self.model, path)


def _whole(arrays: Arrays) -> Arrays:
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}
