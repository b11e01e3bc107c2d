"""Training steps of any model, on inputs and targets that both frameworks are given."""

from math import prod

import numpy as np
import torch
import torch.nn.functional as F

from . import observing, updating


class Steps:
    """A model in training; dropout and other noise are off.

    Args:
        model: a module.
        optimizer: settings: ``kind`` (of `optimizers.NAMES`), ``learning_rate`` and what else it has.
        loss: ``kind``, one of `LOSSES`, and ``logits``.
        edits: changes of single calls, as `observing.observe` takes them.
        axes: of each output, in Keras's order.
    """

    def __init__(self, model, optimizer, loss, edits=(), axes=None):
        self.model, self.loss, self.axes = model, loss, axes
        self.edits = list(edits)
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = updating.make(optimizer, self.parameters)
        self.coupled = optimizer.get("coupled", {})

    def step(self, inputs, targets):
        """Take one step.

        Returns:
            The loss before it, its penalty's part, and the gradients by name.
        """
        observing.mode(self.model, True)
        for parameter in self.model.parameters():
            parameter.grad = None
        loss = self._loss(inputs, targets)
        loss.backward()
        gradients = self._gradients()
        with torch.no_grad():
            for name, factor in self.coupled.items():
                if name in gradients and self.parameters[name].grad is not None:
                    self.parameters[name].grad.add_(self.parameters[name], alpha=factor)
        self.optimizer.step()
        return float(loss.detach()), 0.0, gradients

    @torch.no_grad()
    def evaluate(self, inputs, targets):
        """Loss and outputs in inference mode."""
        observing.mode(self.model, False)
        loss = self._loss(inputs, targets)
        return float(loss), [x.numpy().copy() for x in self.outputs]

    def to_arrays(self):
        """Copy all arrays of the model."""
        return arrays(self.model)

    def _gradients(self):
        return {
            n: np.zeros(p.shape, p.detach().numpy().dtype) if p.grad is None else p.grad.numpy().copy()
            for n, p in self.parameters.items()
        }

    def _watching(self):
        return observing.Watch(self.model, self.edits, values=False)

    def _loss(self, inputs, targets):
        tensors = [observing.tensor(x) for x in inputs]
        watch = self._watching()
        with watch.attached():
            for x in tensors:
                watch.live(x)
            with watch:
                outputs = observing.returned(self.model(*tensors))
        outputs = outputs[: len(targets)]
        if self.axes:
            outputs = [
                x if order is None else x.permute(order) for x, order in zip(outputs, self.axes, strict=True)
            ]
        self.outputs = [x.detach() for x in outputs]
        return sum(loss(x, observing.tensor(y), self.loss) for x, y in zip(outputs, targets, strict=True))


def loss(outputs, targets, settings):
    """The loss of a batch: the mean over what has one, or the sum.

    Args:
        outputs, targets: ``(N, ..., C)``; targets are one-hot or numbers.
        settings: ``kind`` is ``crossentropy``, ``binary``, ``mse`` or ``mae``; ``logits`` says what outputs are,
            ``summed`` whether to add up.
    """
    mean = _mean(outputs, targets, settings)
    return mean * prod(outputs.shape[:-1]) if settings.get("summed") else mean


def _mean(outputs, targets, settings):
    targets = targets.reshape(outputs.shape)
    kind, smoothing = settings["kind"], settings.get("smoothing", 0.0)
    if kind == "crossentropy":
        targets = targets * (1 - smoothing) + smoothing / outputs.shape[-1]
        logs = (
            F.log_softmax(outputs, -1)
            if settings["logits"]
            else (outputs / outputs.sum(-1, keepdim=True)).log()
        )
        return -(targets * logs).sum(-1).mean()
    if kind == "binary":
        targets = targets * (1 - smoothing) + 0.5 * smoothing
        if settings["logits"]:
            return (outputs.clamp(min=0) - outputs * targets + torch.log1p(torch.exp(-outputs.abs()))).mean()
        return -(targets * outputs.log() + (1 - targets) * (1 - outputs).log()).mean()
    if kind == "mae":
        return (outputs - targets).abs().mean()
    return (outputs - targets).square().mean()


def arrays(model):
    """Copy a model's floating-point arrays: name -> array, in PyTorch's layout."""
    state = observing.state(model)
    return {name: value.detach().numpy().copy() for name, value in state.items() if value.is_floating_point()}


def assign(model, values):
    """Set arrays of a model to copies of ``values``."""
    state = observing.state(model)
    with torch.no_grad():
        for name, value in values.items():
            state[name].copy_(torch.from_numpy(np.asarray(value, order="C")))
