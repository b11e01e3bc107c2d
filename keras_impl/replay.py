"""Evaluate a model between what `fit` and what `evaluate` do: dropout on or off, BN as in either of them.

A batch is ``(inputs, labels)`` or ``(inputs, labels, weights)``: float32 arrays, images ``(N, H, W, C)``, others
as they are; labels ``(N, 1)`` or, of K classes, ``(N, K)``; weights of the samples ``(N,)``. The model is left as it
was, whatever happens.
"""

from contextlib import contextmanager
from functools import partial
from weakref import WeakKeyDictionary

import keras
import numpy as np

from . import modes, names, statistics
from .batches import tensors
from .bn_policy import BATCH_NORM
from .keeping import value
from .metrics import right

# body -> which of its BN layers normalise with the batch in `fit` -> the same layers, for the passes as in `fit`
_in_fit: WeakKeyDictionary = WeakKeyDictionary()


def random_state(model):
    """Copy what the next dropout masks will be drawn from: the states of the layers' generators and counters.

    DIFFERS: each Keras layer has a state of its own; PyTorch has one generator for all layers.
    """
    return [value(variable) for variable in _counters(model)]


def set_random_state(model, state):
    """Have the next masks drawn from a state that `random_state` copied."""
    for counter, held in zip(_counters(model), state, strict=True):
        counter.assign(held)


@contextmanager
def replaying(model, state):
    """Draw the masks that were drawn from a state on, and at the end go on as if nothing had been drawn."""
    now = random_state(model)
    try:
        set_random_state(model, state)
        yield
    finally:
        set_random_state(model, now)


def measure(model, batches, *, dropout=False, normalise="evaluate", take=None):
    """Measure loss and accuracy as ``model.fit`` and ``model.evaluate`` do, without changing anything.

    Args:
        model: any model with one output, probabilities shaped as the labels; its own loss, where it is compiled.
        batches: a sequence of batches.
        dropout: whether it's on, as in training.
        normalise: ``fit`` (BN as in training, but it keeps its moving statistics) or ``evaluate``.
        take: called after each batch with what its BN layers keep, as `statistics.moving` gives it: as in `fit`
            that is of this batch alone.

    Returns:
        ``loss``, each batch's mean of weighted losses weighted by its number of samples, and ``accuracy``.
    """
    loss_of = model.compute_loss if model.compiled else partial(_loss, model)
    total, count, correct = 0.0, 0, 0.0
    with modes.switched(model, dropout, normalise), modes.without_gradients():
        for step in range(len(batches)):
            x, y, *weights = batches[step]
            outputs = model(x, training=dropout)
            loss = loss_of(x, y, outputs, *weights, training=dropout)
            total, count = total + float(loss) * len(y), count + len(y)
            correct += float(right(keras.ops.convert_to_numpy(outputs), y).mean()) * len(y)
            if take is not None:
                take(statistics.moving(model))
    return {"loss": total / count, "accuracy": correct / count}


def features(body, batches, normalise="evaluate", take=None):
    """Run a transfer model's `transfer.body` over the batches, with BN as in `fit` or in `evaluate`.

    Args:
        body, batches: the model and its batches.
        normalise: ``fit`` or ``evaluate``, as for `measure`.
        take: as for `measure`, of passes as in `fit`.

    Returns:
        Pooled features, ``(N, C)`` float32, in the order of the batches.
    """
    if normalise == "evaluate":  # what a pass does by itself, and it changes nothing that were to be put back
        return _predicted(body, batches)
    # a model keeps the graph of its first predict, so that it takes another model
    by_batch = tuple(layer.trainable for layer in names.of_layers(body, BATCH_NORM).values())
    graphs = _in_fit.setdefault(body, {})
    if by_batch not in graphs:
        graphs[by_batch] = keras.Model(body.input, body.output)
    body = graphs[by_batch]
    body.make_predict_function()  # before the modes are set, since all that is set in them goes again
    with modes.switched(body, False, normalise):
        return _predicted(body, batches, take)


def _predicted(body, batches, take=None):
    """Predict batch by batch: ``predict`` itself takes longer to begin than a short pass takes."""
    found = []
    for step in range(len(batches)):
        found.append(body.predict_on_batch(*tensors(batches[step][:1])))
        if take is not None:
            take(statistics.moving(body))
    return np.concatenate(found)


def _loss(model, x, y, outputs, weights=None, training=False):
    """Compute a batch's loss as `training.compile` has it, for a model that isn't compiled."""
    return sum(model.losses, keras.losses.BinaryCrossentropy()(y, outputs, weights))


def _counters(model):
    return [variable for variable in model.variables if "int" in variable.dtype]
