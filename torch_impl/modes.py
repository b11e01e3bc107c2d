"""Put a model into a mode, and back: what batch normalisation and dropout do, whatever a call then changes.

Each function is a context manager at whose end the model is as it was, bit by bit, whatever happens.
"""

import random
from contextlib import contextmanager

import numpy as np
import torch

from . import bn_policy


@contextmanager
def kept(model):
    """Put back at the end what calls of the model, or settings of its modules, have changed.

    That is every parameter and buffer, every attribute of a module that is a plain value (modes and counters), and
    the generators of random numbers.
    """
    tensors = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
    modules = [(module, _attributes(module)) for module in model.modules()]
    devices = {tensor.device for tensor, _ in tensors if tensor.is_cuda}
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - whoever draws from it
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            for module, attributes in modules:
                _put_back(module, attributes)
            with torch.no_grad():
                for tensor, values in tensors:
                    tensor.copy_(values)
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def in_inference(model):
    """Put every module into inference mode, even where a user's own ``train`` wouldn't."""
    with kept(model):
        for module in model.modules():
            module.training = False
        yield


@contextmanager
def switched(model, dropout=False, normalise="evaluate"):
    """Throw the two switches between training and evaluation one by one.

    Args:
        model: any module; one with a policy (`bn_policy.apply`) normalises as that has it.
        dropout: whether it is on, as in training, and whatever else a module does in training only.
        normalise: ``fit`` (layers that keep moving statistics normalise as in training) or ``evaluate``.
    """
    with kept(model):
        model.train(normalise == "fit")
        bn_policy.hold(model)
        for module in model.modules():
            if not keeps_statistics(module):
                module.training = dropout
            elif module.training and isinstance(module, bn_policy.BATCH_NORM):
                module.track_running_stats = False
        yield


def keeps_statistics(layer):
    """Whether a layer has moving statistics, and so normalises otherwise in training than in evaluation.

    DIFFERS: PyTorch's InstanceNorm can have some, too.
    """
    return isinstance(layer, bn_policy.BATCH_NORM) or getattr(layer, "running_mean", None) is not None


def _attributes(module):
    """Copy what a module is made of: its plain values, and which tensors its parameters and buffers are."""
    if isinstance(module, torch.jit.ScriptModule):
        return {"training": module.training}
    plain = {name: value for name, value in vars(module).items() if isinstance(value, bool | int | float)}
    return plain | {name: dict(vars(module)[name]) for name in ("_parameters", "_buffers")}


def _put_back(module, attributes):
    for name, value in attributes.items():
        if isinstance(value, dict):
            vars(module)[name].clear()
            vars(module)[name].update(value)
        else:
            setattr(module, name, value)
