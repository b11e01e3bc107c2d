"""Training steps of any model, on inputs and targets that both frameworks are given."""

from contextlib import ExitStack, contextmanager
from math import prod

import keras
import numpy as np
from keras import ops, tree

from . import observing, updating
from .keeping import replaced, value


class Steps:
    """A model in training; dropout and other noise are off.

    Args:
        model: a model.
        optimizer: settings: ``kind`` (of `optimizers.NAMES`), ``learning_rate`` and what else it has.
        loss: ``kind``, one of `LOSSES`, and ``logits``.
        head: paths of layers whose softmax or sigmoid at the end is left out; none if None.
    """

    def __init__(self, model, optimizer, loss, head=None):
        self.model, self.settings, self.head = model, loss, head or ()
        self.optimizer = updating.make(optimizer)
        names = {id(variable): name for name, (variable, _) in observing.variables(model).items()}
        self.names = [names.get(id(variable), variable.path) for variable in model.trainable_variables]
        self.gradients = []
        apply = self.optimizer.apply

        def recording(gradients, variables=None):
            # an embedding's come row by row; Keras's Adam squares each of a repeated row's apart, PyTorch's their sum
            whole = [None if g is None else ops.convert_to_tensor(ops.convert_to_numpy(g)) for g in gradients]
            self.gradients = [
                np.zeros(v.shape, keras.config.floatx()) if g is None else np.array(ops.convert_to_numpy(g))
                for g, v in zip(whole, self.model.trainable_variables, strict=True)
            ]
            return apply(whole, variables)

        object.__setattr__(self.optimizer, "apply", recording)

    def step(self, inputs, targets):
        """Take one step.

        Returns:
            The loss before it, its penalty's part, and the gradients by name.
        """
        model = self.model
        with observing.quiet(model), _without(model, self.head):
            model.compile(self.optimizer, loss=self._losses(targets), run_eagerly=True, jit_compile=False)
            penalised = [v for v in model.trainable_variables if v.regularizer]
            penalty = float(sum(float(v.regularizer(v)) for v in penalised))
            coupled = self._coupled()
            found = model.train_on_batch(_given(inputs), _given(targets), return_dict=True)
        gradients = {n: g - coupled.get(n, 0.0) for n, g in zip(self.names, self.gradients, strict=True)}
        return float(found["loss"]), penalty, gradients

    def evaluate(self, inputs, targets):
        """Loss and outputs in inference mode."""
        with observing.quiet(self.model), _without(self.model, self.head):
            tensors = [observing.tensor(x) for x in inputs]
            found = self.model(tensors if len(tensors) > 1 else tensors[0], training=False)
            outputs = tree.flatten(found)[: len(targets)]
            total = sum(
                float(loss(x, observing.tensor(y), self.settings))
                for x, y in zip(outputs, targets, strict=True)
            )
        return total, [np.array(ops.convert_to_numpy(x)) for x in outputs]

    def to_arrays(self):
        """Copy all arrays of the model."""
        return arrays(self.model)

    def _losses(self, targets):
        def one(y_true, y_pred):
            return loss(y_pred, y_true, self.settings)

        structure = getattr(self.model, "output", None)
        if isinstance(structure, dict):
            return dict.fromkeys(structure, one)
        return one if len(targets) == 1 else [one] * len(targets)

    def _coupled(self):
        """The penalties' part of each gradient: DIFFERS: PyTorch's optimizers add it, here it is in the loss."""
        factors = updating.penalties(self.model)
        trained = zip(self.names, self.model.trainable_variables, strict=True)
        return {n: factors[n] * value(v) for n, v in trained if n in factors}


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
    targets = ops.reshape(ops.cast(targets, outputs.dtype), ops.shape(outputs))
    kind, smoothing = settings["kind"], settings.get("smoothing", 0.0)
    if kind == "crossentropy":
        targets = targets * (1 - smoothing) + smoothing / outputs.shape[-1]
        logs = (
            ops.log_softmax(outputs, -1)
            if settings["logits"]
            else ops.log(outputs / ops.sum(outputs, -1, keepdims=True))
        )
        return -ops.mean(ops.sum(targets * logs, -1))
    if kind == "binary":
        targets = targets * (1 - smoothing) + 0.5 * smoothing
        if settings["logits"]:
            soft = ops.log1p(ops.exp(-ops.abs(outputs)))
            return ops.mean(ops.maximum(outputs, ops.zeros_like(outputs)) - outputs * targets + soft)
        return -ops.mean(targets * ops.log(outputs) + (1 - targets) * ops.log(1 - outputs))
    if kind == "mae":
        return ops.mean(ops.abs(outputs - targets))
    return ops.mean(ops.square(outputs - targets))


def arrays(model):
    """Copy a model's floating-point arrays: name -> array, in Keras's layout."""
    found = observing.variables(model)
    return {name: value(variable) for name, (variable, _) in found.items()}


def assign(model, values):
    """Set arrays of a model to copies of ``values``."""
    found = observing.variables(model)
    for name, array in values.items():
        found[name][0].assign(np.array(array))
    for _, layer in observing.paths(model).values():
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()  # it computes with copies of its arrays


@contextmanager
def _without(model, head):
    """Leave out what layers at the end make of logits, for as long as the context lasts."""
    layers = dict(observing.paths(model).values())
    with ExitStack() as stack:
        for layer in (layers[path] for path in head):
            fused = hasattr(layer, "activation") and not isinstance(layer, keras.layers.Activation)
            key = "activation" if fused else "call"
            stack.enter_context(replaced(layer, **{key: lambda x, *args, **kwargs: x}))
        yield


def _given(arrays_):
    arrays_ = [
        x.astype(keras.config.floatx()) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in arrays_
    ]
    return arrays_ if len(arrays_) > 1 else arrays_[0]
