"""Evaluate a model between what `fit` and what `evaluate` do: dropout on or off, BN as in either of them.

A batch is ``(inputs, labels)`` or ``(inputs, labels, weights)``: float32 arrays, images ``(N, H, W, C)``, others
as they are; labels ``(N, 1)`` or, of K classes, ``(N, K)``; weights of the samples ``(N,)``. The model is left as it
was, whatever happens.
"""

from contextlib import contextmanager

import numpy as np
import torch

from . import bn_policy, modes, statistics, training
from .batches import tensors
from .metrics import right


def random_state(model):
    """Copy what the next dropout masks will be drawn from: the generator's state and the model's counters.

    DIFFERS: PyTorch has one generator for all layers; in Keras each layer has a state of its own.
    """
    return _generator(model).get_rng_state(), [counter.clone() for counter in _counters(model)]


def set_random_state(model, state):
    """Have the next masks drawn from a state that `random_state` copied."""
    generator, counters = state
    _generator(model).set_rng_state(generator)
    for counter, value in zip(_counters(model), counters, strict=True):
        counter.copy_(value)


@contextmanager
def replaying(model, state):
    """Draw the masks that were drawn from a state on, and at the end go on as if nothing had been drawn."""
    now = random_state(model)
    try:
        set_random_state(model, state)
        yield
    finally:
        set_random_state(model, now)


@torch.no_grad()
def measure(model, batches, *, dropout=False, normalise="evaluate", take=None):
    """Measure loss and accuracy as `training.fit` and `training.evaluate` do, without changing anything.

    Args:
        model: has a method ``logits``, or returns logits, shaped as the labels.
        batches: a sequence of batches.
        dropout: whether it's on, as in training.
        normalise: ``fit`` (BN as in training, but it keeps its moving statistics) or ``evaluate``.
        take: called after each batch with what its BN layers keep, as `statistics.moving` gives it: as in `fit`
            that is of this batch alone.

    Returns:
        ``loss``, each batch's mean of weighted losses weighted by its number of samples, and ``accuracy``.
    """
    total, count, correct = 0.0, 0, 0
    with modes.switched(model, dropout, normalise):
        for loss, logits, y in training.passed(model, batches):
            total, count = total + loss * len(y), count + len(y)
            correct += right(training.probabilities(logits), y).float().mean().item() * len(y)
            if take is not None:
                take(statistics.moving(model))
    return {"loss": total / count, "accuracy": correct / count}


@torch.no_grad()
def features(body, batches, normalise="evaluate", take=None):
    """Run a transfer model's `transfer.body` over the batches, with BN as in `fit` or in `evaluate`.

    Args:
        body, batches: the model and its batches.
        normalise: ``fit`` or ``evaluate``, as for `measure`.
        take: as for `measure`, of passes as in `fit`.

    Returns:
        Pooled features, ``(N, C)`` float32, in the order of the batches.
    """
    found = []
    with modes.switched(body, False, "fit") if normalise == "fit" else _evaluating(body):
        for step in range(len(batches)):
            found.append(body(*tensors(batches[step][:1], body)).cpu().numpy())
            if take is not None:
                take(statistics.moving(body))
    return np.concatenate(found)


@contextmanager
def _evaluating(model):
    """Put a model into the mode of evaluation, and back: a pass in it changes nothing else of this project's."""
    modes_of = ("training", "track_running_stats")
    held = [
        (module, {name: vars(module)[name] for name in modes_of if name in vars(module)})
        for module in model.modules()
    ]
    try:
        model.eval()
        bn_policy.hold(model)
        yield
    finally:
        for module, mode in held:
            vars(module).update(mode)


def _generator(model):
    """The module that keeps the generator of a model's device."""
    device = next((tensor.device.type for tensor in model.parameters()), "cpu")
    return torch if device == "cpu" else torch.get_device_module(device)


def _counters(model):
    return [buffer for buffer in model.buffers() if not buffer.is_floating_point()]
