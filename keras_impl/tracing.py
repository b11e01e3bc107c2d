"""What a Keras model computes, laid open: its configuration, every layer's output, every step of training.

Layers have their neutral names, arrays their neutral layout: images and feature maps are ``(N, H, W, C)``.
"""

import inspect

import keras
import numpy as np

from . import bn_policy, modes, names, optimizers, transfer, weights
from .batches import array, tensor
from .layers import CounterDropout
from .metrics import crossentropy

_STRUCTURE = (keras.layers.InputLayer, keras.layers.ZeroPadding2D)  # the padding counts as the next layer's


def configuration(model):
    """Read off a transfer model, layer by layer, what its outputs can't show.

    Returns:
        layer -> fact -> value: ``kind``, sizes, ``stride``, ``padding`` as (top, bottom, left, right), ``bias``,
        ``activation``, ``epsilon``, ``decay``, ``variance`` (``biased`` or ``unbiased``: what moves the moving
        one), ``rate``, and what the policy does: ``trains``, ``fit_statistics``, ``updates``,
        ``evaluate_statistics``.
    """
    pads = {
        id(layer.output): [side for sides in layer.padding for side in sides]
        for layer in bn_policy.leaves(model)
        if isinstance(layer, keras.layers.ZeroPadding2D)
    }
    facts = {}
    for layer in bn_policy.leaves(model):
        described = _describe(layer, pads)
        if described is None:
            continue
        if isinstance(layer, bn_policy.BATCH_NORM):
            described |= _set_to(layer)
        elif described["kind"] in ("convolution", "dense"):
            described["trains"] = all(weight.trainable for weight in layer.weights) and layer.trainable
        facts[layer.name] = described
    return facts


def forward(model, images, training=False, reference=None):
    """Run a transfer model and record what goes into it and every layer's output; leave the model as it was.

    Args:
        model: the policy already set.
        images: ``(N, H, W, 3)``, preprocessed.
        training: whether layers behave as in ``fit`` (as the policy has it) or as in ``evaluate``.
        reference: outputs of another model. Each layer then gets those of the layers before it as its input,
            so that an error shows where it arises and not further on.

    Returns:
        layer -> array, in the order of the data; ``images`` is the first.
    """
    outputs = {}

    def record(name, output):
        outputs[name] = array(output)
        return output if reference is None else tensor(reference[name], output)

    backbone, head = transfer.parts(model)
    with modes.kept(model, weights=False), modes.without_gradients():
        x = record("images", keras.ops.convert_to_tensor(images, keras.config.floatx()))
        x = _run(backbone, x, training, record)
        x = record("pool", model.get_layer("pool")(x))
        _run(head, x, training, record)
    return outputs


class Training:
    """Training and evaluation one batch at a time, computed as `training.fit` and `training.evaluate` do.

    Args:
        model: a transfer model with the policy already set.
        optimizer: of its trainable parameters (`optimizers.make`).
    """

    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer
        self.recorder = _Recorder(optimizer)
        self.outputs = _Outputs()
        model.compile(self.recorder, loss=crossentropy(model.output_shape[-1]), metrics=[self.outputs])

    def step(self, images, labels):
        """Take one step.

        Args:
            images, labels: ``(N, H, W, 3)``, preprocessed, and ``(N, 1)``, 0 or 1.

        Returns:
            The loss before the step (Keras's coupled weight decay is part of it) and the probabilities ``(N, 1)``.
        """
        self.outputs.make_room(labels.shape)
        self.model.reset_metrics()
        logs = self.model.train_on_batch(images, labels, return_dict=True)
        return float(logs["loss"]), self.outputs.values.numpy()

    def gradients(self):
        """Copy the gradients that the last step took: neutral name -> array.

        DIFFERS: they hold coupled weight decay, which is part of the loss; PyTorch's SGD adds it in its step.
        """
        of_weight = {id(weight): name for name, weight in names.of_weights(self.model).items()}
        pairs = zip(self.model.trainable_variables, self.recorder.gradients, strict=True)
        return {of_weight[id(weight)]: np.array(gradient.numpy()) for weight, gradient in pairs}

    def evaluate(self, images, labels):
        """Return loss and probabilities in inference mode; arguments as in `step`."""
        self.outputs.make_room(labels.shape)
        self.model.reset_metrics()
        logs = self.model.test_on_batch(images, labels, return_dict=True)
        return float(logs["loss"]), self.outputs.values.numpy()

    def to_arrays(self):
        """Copy all that training changes: ``weights/...``, ``optimizer/...`` and the dropout layers' ``counter``."""
        arrays = {f"weights/{name}": array for name, array in weights.to_arrays(self.model).items()}
        slots = optimizers.to_arrays(self.model, self.optimizer)
        arrays |= {f"optimizer/{name}": array for name, array in slots.items()}
        return {
            **arrays,
            "counter": np.array(max((int(layer.step) for layer in _dropouts(self.model)), default=0)),
        }

    def from_arrays(self, arrays):
        """Set the state to copies of what `to_arrays` of either framework returned."""
        parts = {"weights": {}, "optimizer": {}}
        for name, values in arrays.items():
            part, _, rest = name.partition("/")
            if rest:
                parts[part][rest] = values
        weights.from_arrays(self.model, parts["weights"])
        optimizers.from_arrays(self.model, self.optimizer, parts["optimizer"])
        for layer in _dropouts(self.model):
            layer.step.assign(int(arrays["counter"]))


class _Recorder(keras.optimizers.Optimizer):
    """Keeps the gradients that ``fit``'s own step hands over, and passes them on."""

    def __init__(self, optimizer):
        super().__init__(learning_rate=0.0, name="recorder")
        self.optimizer = optimizer

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.gradients = self.add_optimizer_variables(variables, "gradient")
            self.optimizer.build(variables)

    @property
    def variables(self):
        return super().variables + (
            self.optimizer.variables if self.built else []
        )  # JAX takes them from here

    def update_step(self, gradient, variable, learning_rate):
        self.assign(self.gradients[self._get_variable_index(variable)], gradient)

    def apply(self, grads, trainable_variables=None):
        super().apply(grads, trainable_variables)
        self.optimizer.apply(grads, trainable_variables)


class _Outputs(keras.metrics.Metric):
    """Keeps the last batch's probabilities."""

    values = None

    def make_room(self, shape):
        if self.values is None:
            self.values = self.add_variable(shape, initializer="zeros", name="values")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.values.assign(y_pred)

    def result(self):
        return keras.ops.mean(self.values)


def _run(model, x, training, record):
    """Compute a functional model layer by layer, in its own order."""
    values = {id(model.inputs[0]): x}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        inputs = layer.input
        inputs = [values[id(i)] for i in inputs] if isinstance(inputs, list) else values[id(inputs)]
        mode = {"training": training} if "training" in inspect.signature(layer.call).parameters else {}
        output = layer(inputs, **mode)
        values[id(layer.output)] = output if isinstance(layer, _STRUCTURE) else record(layer.name, output)
    return values[id(model.outputs[0])]


def _set_to(layer):
    """What the policy has set a BN layer to: its flags, for training and for evaluation."""
    return {
        "trains": bool(layer.trainable and layer.gamma.trainable),
        "fit_statistics": "batch" if layer.trainable else "moving",
        "updates": bool(layer.trainable and layer.momentum < 1),
        "evaluate_statistics": layer.evaluates_with if layer.trainable else "moving",
    }


def _describe(layer, pads):
    """The facts of one layer; None for what PyTorch has no module for."""
    if isinstance(layer, keras.layers.Conv2D):
        return {
            "kind": "convolution",
            "channels": layer.filters,
            "kernel": list(layer.kernel_size),
            "stride": list(layer.strides),
            "padding": _padding(layer, layer.kernel_size, pads),
            "bias": layer.use_bias,
        }
    if isinstance(layer, bn_policy.BATCH_NORM):
        decay = getattr(layer, "decay", layer.momentum)
        return {"kind": "batch norm", "epsilon": layer.epsilon, "decay": decay, "variance": "biased"}
    if isinstance(layer, keras.layers.Dense):
        activation = layer.activation.__name__
        return {"kind": "dense", "units": layer.units, "bias": layer.use_bias, "activation": activation}
    if isinstance(layer, keras.layers.MaxPooling2D):
        facts = {"kind": "max pool", "window": list(layer.pool_size), "stride": list(layer.strides)}
        return {**facts, "padding": _padding(layer, layer.pool_size, pads)}
    if isinstance(layer, CounterDropout):
        return {"kind": "dropout", "rate": layer.rate, "seed": layer.seed}
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return {"kind": "average pool"}
    return {"kind": "relu"} if isinstance(layer, keras.layers.ReLU) else None


def _padding(layer, window, pads):
    """Explicit zeros before the layer, and what ``same`` adds; at stride > 1 that depends on the image's size."""
    padding = pads.get(id(layer.input), [0, 0, 0, 0])
    if layer.padding == "valid":
        return padding
    if max(layer.strides) > 1:
        return "same"
    same = [side for size in window for side in ((size - 1) // 2, size // 2)]
    return [a + b for a, b in zip(padding, same, strict=True)]


def _dropouts(model):
    return [layer for layer in bn_policy.leaves(model) if isinstance(layer, CounterDropout)]
