"""What a PyTorch model computes, laid open: its configuration, every layer's output, every step of training.

Layers have their neutral names, arrays their neutral layout: images and feature maps are ``(N, H, W, C)``.
"""

from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from . import bn_policy, modes, names, optimizers, training, weights
from .batches import array, tensor, tensors
from .layers import CounterDropout, SameConv


def configuration(model):
    """Read off a transfer model, layer by layer, what its outputs can't show.

    Returns:
        layer -> fact -> value: ``kind``, sizes, ``stride``, ``padding`` as (top, bottom, left, right), ``bias``,
        ``activation``, ``epsilon``, ``decay``, ``variance`` (``biased`` or ``unbiased``: what moves the moving
        one), ``rate``, and what the policy does: ``trains``, ``fit_statistics``, ``updates``,
        ``evaluate_statistics``.
    """
    set_to = _set_to(model)
    facts = {}
    for path, module, following in _leaves(model):
        described = None if _in_dense(path, module) else _describe(module, following)
        if described is None:
            continue
        if path in set_to:
            described |= set_to[path]
        elif next(module.parameters(), None) is not None:
            described["trains"] = all(parameter.requires_grad for parameter in module.parameters())
        facts[_name_of(path, module)] = described
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

    with modes.kept(model, weights=False), _recorded(model, record), torch.no_grad():
        model.train(training)
        bn_policy.hold(model)
        model(*tensors((images,), model))
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

    def step(self, images, labels):
        """Take one step.

        Args:
            images, labels: ``(N, H, W, 3)``, preprocessed, and ``(N, 1)``, 0 or 1.

        Returns:
            The loss before the step (Keras's coupled weight decay is part of it) and the probabilities ``(N, 1)``.
        """
        model = self.model
        model.train()
        bn_policy.hold(model)
        self.optimizer.zero_grad()
        loss, logits = training.loss_of(model, *tensors((images, labels), model))
        loss.backward()
        total = loss.item() + optimizers.penalty(model, self.optimizer)
        self.optimizer.step()
        return total, training.probabilities(logits.detach()).cpu().numpy()

    def gradients(self):
        """Copy the gradients that the last step took: neutral name -> array.

        DIFFERS: Keras's hold coupled weight decay, and so do `optimizers.KerasSGD`'s; PyTorch's SGD's don't.
        """
        of_key = names.of_state(self.model.state_dict())
        parameters = self.model.named_parameters()
        return {of_key[key]: names.to_array(p.grad, key) for key, p in parameters if p.requires_grad}

    def evaluate(self, images, labels):
        """Return loss and probabilities in inference mode; arguments as in `step`."""
        model = self.model
        model.eval()
        bn_policy.hold(model)
        ((loss, logits, _),) = training.passed(model, [(images, labels)])
        return loss + optimizers.penalty(model, self.optimizer), training.probabilities(logits).cpu().numpy()

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
            layer.step.fill_(int(arrays["counter"]))


def _set_to(model):
    """What the policy has set each BN module to, by path: its flags, in training and in evaluation."""
    modules = {path: m for path, m in model.named_modules() if isinstance(m, bn_policy.BATCH_NORM)}
    facts = {path: {"trains": module.weight.requires_grad} for path, module in modules.items()}
    for as_in_fit, statistics in ((True, "fit_statistics"), (False, "evaluate_statistics")):
        with modes.kept(model):
            model.train(as_in_fit)
            bn_policy.hold(model)
            for path, module in modules.items():
                facts[path][statistics] = "batch" if module.training else "moving"
                if as_in_fit:
                    facts[path]["updates"] = module.training and module.track_running_stats
    return facts


def _leaves(model):
    """Yield path, module and the module behind it of all that has no parts, and of the pooling before the head."""
    modules = [(path, module) for path, module in model.named_modules() if _is_leaf(path, module)]
    followers = [module for _, module in modules[1:]] + [None]
    for (path, module), following in zip(modules, followers, strict=True):
        yield path, module, following


def _is_leaf(path, module):
    return path == "pool" or (not path.startswith("pool.") and next(module.children(), None) is None)


def _name_of(path, module):
    """The neutral name of what a module puts out."""
    if _in_dense(path, module):
        return _dense_before(path)
    return names.of_path(path).removeprefix("backbone.").removeprefix("head.")


def _describe(module, following):
    """The facts of one module; None for what Keras has no layer for."""
    if isinstance(module, nn.Conv2d):
        return {
            "kind": "convolution",
            "channels": module.out_channels,
            "kernel": list(module.kernel_size),
            "stride": list(module.stride),
            "padding": _padding(module),
            "bias": module.bias is not None,
        }
    if isinstance(module, bn_policy.BATCH_NORM):
        variance = getattr(module, "variance", "unbiased")
        # momentum is 1 - decay, and the subtraction rounds
        return {
            "kind": "batch norm",
            "epsilon": module.eps,
            "decay": round(1 - module.momentum, 12),
            "variance": variance,
        }
    if isinstance(module, nn.Linear):
        activation = type(following).__name__.lower()
        return {
            "kind": "dense",
            "units": module.out_features,
            "bias": module.bias is not None,
            "activation": activation,
        }
    if isinstance(module, nn.MaxPool2d):
        facts = {"kind": "max pool", "window": [module.kernel_size] * 2, "stride": [module.stride] * 2}
        return {**facts, "padding": [module.padding] * 4}
    if isinstance(module, CounterDropout):
        return {"kind": "dropout", "rate": module.rate, "seed": module.seed}
    if isinstance(module, nn.Sequential):
        return {"kind": "average pool"}
    return {"kind": "relu"} if isinstance(module, nn.ReLU) else None


def _padding(module):
    """The zeros on each side; at stride > 1 those of ``same`` depend on the image's size."""
    if isinstance(module, SameConv):
        return "same"
    return [module.padding[0]] * 2 + [module.padding[1]] * 2


@contextmanager
def _recorded(model, record):
    """Call ``record`` with each layer's name and output; what it returns takes the output's place."""
    handles = []
    for path, module, _ in _leaves(model):
        if isinstance(module, nn.Linear):
            continue  # recorded after its activation, as Keras has it
        name = _name_of(path, module)
        if name.endswith("_out"):
            handles.append(module.register_forward_pre_hook(_before(name.replace("_out", "_add"), record)))
        handles.append(module.register_forward_hook(_after(name, record)))
    handles.append(model.register_forward_pre_hook(_before("images", record)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _before(name, record):
    return lambda module, inputs: (record(name, inputs[0]),)


def _after(name, record):
    return lambda module, inputs, output: record(name, output)


def _in_dense(path, module):
    """Whether this is an activation that Keras makes a part of a dense layer."""
    return path.startswith("head.") and isinstance(module, (nn.ReLU, nn.Sigmoid, nn.Softmax))


def _dense_before(path):
    """The dense layer whose activation this is: ``head_relu_1`` is ``head_dense_1``'s."""
    name = path.removeprefix("head.")
    return "head_output" if name in ("head_sigmoid", "head_softmax") else name.replace("relu", "dense")


def _dropouts(model):
    return [module for module in model.modules() if isinstance(module, CounterDropout)]
