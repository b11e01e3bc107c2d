"""See what every batch normalisation layer of a model does with a batch: what goes in, what comes out, what moves."""

from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from . import modes, statistics
from .batches import tensors
from .names import BATCH_NORM_KINDS


@torch.no_grad()
def observe(model, batch, training):
    """Pass a batch through a model, and leave the model as it was.

    DIFFERS: PyTorch's modules have a mode each. That of the model as it stands is taken where it is the one asked
    for; else ``train`` or ``eval`` is called.

    Args:
        model: any; one with a policy (`bn_policy.apply`) is observed under it.
        batch: a tuple of arrays, the model's input first; images ``(N, H, W, C)``.
        training: whether as in training or as in evaluation.

    Returns:
        layer -> its calls in order, each a tuple: input and output, float64 ``(N, C)``, a position a row; and its
        arrays by neutral kind (``gamma``, ``moving_mean``, ...) before the call and after it.
    """
    seen = {}
    with modes.kept(model), ExitStack() as stack:
        if not modes.stand(model, training) and model.training != training:
            model.train(training)
        for name, layer in statistics.batch_norms(model).items():
            stack.enter_context(_watched(layer, seen.setdefault(name, [])))
        model(*tensors(batch[:1], model))
    return seen


def trained(model):
    """Name the batch normalisation layers whose own parameters an optimizer would change."""
    layers = statistics.batch_norms(model)
    return {name for name, layer in layers.items() if any(p.requires_grad for p in layer.parameters())}


@contextmanager
def _watched(layer, calls):
    """Record every call of a layer."""
    coming = []

    def before(layer, args, kwargs):
        x = args[0] if args else kwargs["input"]
        coming.append((_rows(x), _arrays(layer)))

    def after(layer, args, output):
        x, arrays = coming.pop()
        calls.append((x, _rows(output), arrays, _arrays(layer)))

    handles = [layer.register_forward_pre_hook(before, with_kwargs=True), layer.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rows(x):
    return np.array(x.detach().movedim(1, -1).flatten(0, -2).to("cpu", torch.float64))


def _arrays(layer):
    own = {kind: getattr(layer, name) for name, kind in BATCH_NORM_KINDS.items()}
    return {
        kind: tensor.detach().to("cpu", torch.float64, copy=True).numpy()
        for kind, tensor in own.items()
        if tensor is not None
    }
