"""The model under check, in its own framework's process: built, set to a state, run a step at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from compare.frameworks import Framework
from compare.parity.check import EVALUATED, Check
from compare.weights.head import head_arrays
from compare.wings import Arrays


class Model:
    """A transfer model of one framework with its policy, optimizer and training.

    Attributes:
        check: what it is built for.
        initial: the state it starts from.
        counts: BN layer -> n, the values that a channel's batch statistics are over; known after a forward pass.
        evaluated: what the last step's evaluation gave.
    """

    check: Check
    initial: Arrays
    counts: dict[str, int]
    evaluated: tuple[np.ndarray, np.ndarray]

    def __init__(self, framework: Framework) -> None:
        self.framework, self.parts = framework, framework.implementation
        self.built: Check | None = None

    def start(self, check: Check, weights: str) -> None:
        """Build the model and its training; a Keras one that is compiled already is taken again.

        Args:
            weights: file of the backbone's arrays.
        """
        self.check = check
        key = replace(check, steps=0, weights="", image_size=0, preprocessing="")
        if self.framework.side == "torch" or self.built != key:
            self.model = self.build()
            policy = check.facts.facts
            self.parts.bn_policy.apply(self.model, self.parts.bn_policy.Policy(**policy))
            self.optimizer = self.make_optimizer()
            self.training = self.parts.tracing.Training(self.model, self.optimizer)
            self.built = key
        head = self.parts.transfer.parts(self.model)[1]
        heads = head_arrays(self.parts.weights.to_arrays(head), check.seed)
        arrays = {f"weights/{name}": array for name, array in {**load_file(weights), **heads}.items()}
        self.initial = {**arrays, "optimizer/step": np.array(0), "counter": np.array(0)}
        self.begin(self.initial)

    def begin(self, arrays: Arrays) -> None:
        """Set a state, and do what the policy does ahead of training."""
        self.set_state(arrays)
        if self.check.facts.reestimate == "before-fit":
            self.parts.statistics.recalibrate(self.model, [(self.check.images(0), self.check.labels())])

    def build(self) -> Any:
        """Build the model. In native numerics PyTorch's backbone is, but both draw the same dropout masks."""
        check, transfer, torch = self.check, self.parts.transfer, self.framework.side == "torch"
        numerics = check.numerics if torch else "matched"
        options = {"seed": check.seed, "outputs": check.outputs}
        model = transfer.build(check.backbone, check.variant, check.width, numerics=numerics, **options)
        if torch and numerics == "native":
            model.head = transfer.head(model.backbone.channels, "matched", **options)
        if check.epsilon is not None:
            for layer in self.parts.statistics.batch_norms(model).values():
                setattr(layer, "eps" if torch else "epsilon", check.epsilon)
        return self.framework.placed(model)

    def make_optimizer(self) -> Any:
        """Make the optimizer."""
        check = self.check
        options = {"momentum": check.momentum, "weight_decay": check.weight_decay}
        optimizer = self.parts.optimizers.make(
            check.optimizer, self.model, check.learning_rate, check.numerics, **options
        )
        if self.framework.side == "torch" and check.numerics == "matched":
            optimizer.rounds = check.rounds
        if self.framework.backend == "tensorflow" and not check.rounds:
            self.parts.optimizers.unrounded(self.model, optimizer)
        return optimizer

    def set_state(self, arrays: Arrays) -> None:
        """Set weights, moving statistics, the optimizer's slots and the dropout counter."""
        self.training.from_arrays(arrays)

    def images(self) -> np.ndarray:
        """A batch's images as the model is given them."""
        return self.check.images(0)

    def forward(self, training: bool, images: np.ndarray, reference: Arrays | None = None) -> Arrays:
        """What goes into the model and every layer's output; with a reference's outputs, each on its input."""
        outputs = self.parts.tracing.forward(self.model, images, training, reference)
        self.counts = {layer: array[..., 0].size for layer, array in outputs.items() if layer.endswith("_bn")}
        return outputs

    def step(self, number: int) -> Arrays:
        """Take a step on batch ``number``; return what it gave, and the state and evaluation after it."""
        loss, outputs = self.training.step(self.check.images(number), self.check.labels())
        evaluated, probabilities = self.evaluate()
        self.evaluated = np.array(evaluated, self.check.dtype), np.array(probabilities)
        gradients = {f"gradients/{name}": array for name, array in self.training.gradients().items()}
        return {
            **self.training.to_arrays(),
            **gradients,
            "loss/loss": np.array(loss, self.check.dtype),
            "loss/outputs": np.array(outputs),
            "evaluation/loss": self.evaluated[0],
            "evaluation/outputs": self.evaluated[1],
        }

    def evaluate(self) -> tuple[float, np.ndarray]:
        """Evaluate the batch that no step trains on, as the policy has it: loss, probabilities."""
        images, labels = self.check.images(EVALUATED), self.check.labels()
        if self.check.facts.reestimate != "before-evaluate":
            return self.training.evaluate(images, labels)
        statistics = self.parts.statistics
        population = statistics.population(self.model, [(images, labels)])
        with statistics.substituted(self.model, population):
            return self.training.evaluate(images, labels)

    def configuration(self) -> dict:
        """Facts by layer, the optimizer's among them."""
        optimizer = self.parts.optimizers.configuration(self.model, self.optimizer)
        return {**self.parts.tracing.configuration(self.model), "optimizer": optimizer}


def state(arrays: Arrays) -> Arrays:
    """Those of a file's arrays that `Model.set_state` takes."""
    return {n: array for n, array in arrays.items() if n.startswith(("weights/", "optimizer/", "counter"))}
