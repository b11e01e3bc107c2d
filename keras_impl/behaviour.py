"""See what every batch normalisation layer of a model does with a batch: what goes in, what comes out, what moves."""

from contextlib import ExitStack

import keras
import numpy as np

from . import modes, statistics
from .batches import tensors
from .keeping import replaced, value

_KINDS = ("gamma", "beta", "moving_mean", "moving_variance")


def observe(model, batch, training):
    """Pass a batch through a model, and leave the model as it was.

    DIFFERS: a Keras layer is told the mode by its call; a PyTorch module has one.

    Args:
        model: any built model that runs eagerly; one with a policy (`bn_policy.apply`) is observed under it.
        batch: a tuple of arrays, the model's input first; images ``(N, H, W, C)``.
        training: whether as in training or as in evaluation.

    Returns:
        layer -> its calls in order, each a tuple: input and output, float64 ``(N, C)``, a position a row; and its
        arrays by neutral kind (``gamma``, ``moving_mean``, ...) before the call and after it.
    """
    seen = {}
    with modes.kept(model), ExitStack() as stack:
        for name, layer in statistics.batch_norms(model).items():
            stack.enter_context(_watched(layer, seen.setdefault(name, [])))
        model(*tensors(batch[:1], model), training=training)
    return seen


def trained(model):
    """Name the batch normalisation layers whose own parameters an optimizer would change."""
    taken = {id(variable) for variable in model.trainable_variables}
    layers = statistics.batch_norms(model)
    return {name for name, layer in layers.items() if any(id(v) in taken for v in layer.trainable_variables)}


def _watched(layer, calls):
    """Record every call of a layer."""
    call = layer.call

    def watching(inputs, *args, **options):
        before = _arrays(layer)
        outputs = call(inputs, *args, **options)
        calls.append((_rows(inputs, layer.axis), _rows(outputs, layer.axis), before, _arrays(layer)))
        return outputs

    return replaced(layer, call=watching)


def _rows(x, axis):
    rows = np.moveaxis(keras.ops.convert_to_numpy(x), axis, -1)
    return rows.reshape(-1, rows.shape[-1]).astype(np.float64)


def _arrays(layer):
    own = {kind: getattr(layer, kind) for kind in _KINDS}
    return {
        kind: value(variable).astype(np.float64) for kind, variable in own.items() if variable is not None
    }
