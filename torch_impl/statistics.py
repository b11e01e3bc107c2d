"""Batch-normalisation statistics of any PyTorch model: read them, measure them on data, put them in place.

Statistics are ``name -> (mean, variance)``, float64 arrays ``(C,)``. A layer's name is the neutral one in
this project's models (``conv2_block1_0_bn``), the module's path in others.
"""

from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn

from . import keeping, lockstep, modes, names
from .batches import tensors
from .bn_policy import BATCH_NORM


def batch_norms(model):
    """Find the batch-normalisation layers of a model, however deeply nested: name -> layer.

    Raises:
        ValueError: a layer keeps no moving statistics, or is compiled into TorchScript, where none can be watched.
    """
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) and _normalises(module):
            raise ValueError(
                f"{path or 'the model'} is TorchScript, whose layers can't be watched; "
                "give the model that it was traced or scripted from"
            )
    layers = names.of_layers(model, BATCH_NORM)
    for name, layer in layers.items():
        if layer.running_mean is None:
            raise ValueError(
                f"layer {name} keeps no moving statistics; make it with track_running_stats=True"
            )
    return layers


def moving(model):
    """Copy the moving statistics of every layer.

    DIFFERS: training feeds the moving variance with unbiased batch variances (divided by n - 1); Keras with
    biased ones (n).
    """
    return {
        name: tuple(tensor.to("cpu", torch.float64, copy=True).numpy() for tensor in _moving(layer))
        for name, layer in batch_norms(model).items()
    }


def constants(model):
    """Read off every layer its decay (the share of the old moving value that a step keeps) and its epsilon.

    DIFFERS: PyTorch's ``momentum`` is 1 - decay, and None where all steps so far weigh the same, which is no decay;
    Keras's is the decay itself.
    """
    return {
        name: (None if layer.momentum is None else round(1 - layer.momentum, 12), layer.eps)
        for name, layer in batch_norms(model).items()
    }


def population(model, batches, weights=None, take=None):
    """Measure mean and biased variance of each layer's input over all samples and positions.

    Every layer before it normalises with its own population statistics, and dropout is off: the result is
    what one single batch of all samples would give in training mode, however they are split. In one pass over
    the network all batches advance together from layer to layer, where their moments are pooled exactly (law
    of total variance, float64); PreciseBN normalises each batch with its own and averages the moments. What
    the network holds alive at a layer (input, shortcut, images) is in memory for all batches at once. The
    model is left as it was, whatever happens.

    Args:
        model: any module; images reach it as ``(N, C, H, W)``, arrays of another rank as they are.
        batches: a sequence of float32 images ``(N, H, W, C)``, or of tuples (images, labels); or a loader. Tensors
            are taken as they are: images ``(N, C, H, W)``.
        weights: for each batch how often each of its samples counts, ``(N,)``; None counts each once.
        take: called with a batch's number and what the model makes of it under the population's statistics.

    Raises:
        ValueError: there are no batches; the data reach a layer never, twice, or not in every batch; or
            samples have weights and a layer's input doesn't have them along its first axis.

    Source: Wu and Johnson 2021, https://arxiv.org/abs/2105.07576, section 3
    """
    batches = _by_number(batches)
    if not len(batches):
        raise ValueError("batches is empty; population statistics need at least one batch")
    layers = batch_norms(model)

    autocast = modes.autocast()

    def forward(i):
        with autocast():
            outputs = _forward(model, batches, i)
        if take is not None:
            take(i, outputs)

    forwards = [partial(forward, i) for i in range(len(batches))]
    # the layers are in inference mode and get their population statistics as moving ones, until the end
    with modes.in_inference(model), ExitStack() as stack:
        for name, layer in layers.items():
            stack.enter_context(_stopping(layer, name))
        statistics = lockstep.run(
            forwards, lambda name, *pair: _put(layers, {name: pair}), keeping.attributes(model), weights
        )
    unreached = layers.keys() - statistics.keys()
    if unreached:
        raise ValueError(f"the data never reach layer {', '.join(sorted(unreached))}")
    return statistics


def recalibrate(model, batches, weights=None):
    """Replace the moving statistics by the `population`'s: the cure where they are stale or foreign.

    Args:
        model, batches, weights: as `population` takes them; of the model nothing else changes.

    Raises:
        ValueError: as in `population`; then no layer has changed.
    """
    _put(batch_norms(model), population(model, batches, weights))


@contextmanager
def substituted(model, statistics):
    """Put statistics in place of the moving ones, and those back, bit by bit, at the end.

    The statistics may be those of all layers or of some.

    Raises:
        ValueError: a name that no layer has, or another number of channels than the layer's.
    """
    layers = batch_norms(model)
    given = [layer for name, layer in layers.items() if name in statistics]
    kept = [(tensor, tensor.clone()) for layer in given for tensor in _moving(layer)]
    try:
        _put(layers, statistics)
        yield
    finally:
        for tensor, values in kept:
            tensor.copy_(values)


def _moving(layer):
    return layer.running_mean, layer.running_var


def _put(layers, statistics):
    for name, pair in statistics.items():
        if name not in layers:
            raise ValueError(f"statistics has layer {name!r}; the model's are {', '.join(layers) or 'none'}")
        for tensor, values in zip(_moving(layers[name]), pair, strict=True):
            if np.shape(values) != tuple(tensor.shape):
                raise ValueError(
                    f"statistics of {name} are {np.shape(values)}; its are {tuple(tensor.shape)}"
                )
            tensor.copy_(torch.as_tensor(values, device=tensor.device))


@contextmanager
def _stopping(layer, name):
    """Make every forward pass stop before the layer."""

    def hook(layer, args, kwargs):
        lockstep.stop(name, _moments(args[0] if args else kwargs["input"]))

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _by_number(batches):
    """Return batches that can be asked for by their number; what a loader gives is read once and held."""
    return batches if hasattr(batches, "__getitem__") else list(batches)


@torch.no_grad()  # the grad mode belongs to the thread
def _forward(model, batches, i):
    """Run a batch through the model, and hold nothing of it that the model itself doesn't."""
    x = batches[i]
    x = x[0] if isinstance(x, (tuple, list)) else x
    if isinstance(x, torch.Tensor):  # a person's own, laid out as the model wants it
        like = next(model.parameters(), x)
        x = x.to(like.device, like.dtype if x.is_floating_point() else None)
    else:
        (x,) = tensors((x,), model)
    for module in _in_sequence(model):
        x = module(x)
    return x


def _in_sequence(model):
    """Yield the modules that a sequence, or a sequence in it, calls: its own call would hold on to its input."""
    hooks = (model._forward_hooks, model._forward_pre_hooks)
    plain = isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward
    if plain and not any(hooks):
        for module in model:
            yield from _in_sequence(module)
    else:
        yield model


def _normalises(script):
    """Whether a compiled module has batch normalisation in it; freezing leaves it in the graph alone."""
    if any(name.endswith("running_mean") for name, _ in script.named_buffers()):
        return True
    return hasattr(script, "inlined_graph") and "batch_norm" in str(script.inlined_graph)


def _moments(x):
    rows = x.detach().movedim(1, -1).flatten(0, -2).to("cpu")
    return lockstep.moments((rows.float() if rows.dtype == torch.bfloat16 else rows).numpy(), len(x))
