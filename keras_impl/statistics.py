"""Batch-normalisation statistics of any Keras model: read them, measure them on data, put them in place.

Statistics are ``name -> (mean, variance)``, float64 arrays ``(C,)``. A layer's name is its own where no other
has it, and else the path to it (``encoder/conv1_bn``).
"""

from contextlib import ExitStack, contextmanager
from functools import partial

import keras
import numpy as np

from . import keeping, lockstep, modes, names
from .batches import tensors
from .bn_policy import BATCH_NORM
from .keeping import replaced, value


def batch_norms(model):
    """Find the batch-normalisation layers of a model, however deeply nested: name -> layer.

    Raises:
        ValueError: a layer isn't built yet.
    """
    layers = names.of_layers(model, BATCH_NORM)
    for name, layer in layers.items():
        if not layer.built:
            raise ValueError(f"layer {name} isn't built yet; call the model once on a batch")
    return layers


def moving(model):
    """Copy the moving statistics of every layer.

    DIFFERS: training feeds the moving variance with biased batch variances (divided by n); PyTorch with
    unbiased ones (n - 1).
    """
    return {
        name: tuple(value(variable).astype(np.float64) for variable in _moving(layer))
        for name, layer in batch_norms(model).items()
    }


def constants(model):
    """Read off every layer its decay (the share of the old moving value that a step keeps) and its epsilon.

    DIFFERS: Keras's ``momentum`` is the decay itself; PyTorch's is 1 - decay.
    """
    return {name: (layer.momentum, layer.epsilon) for name, layer in batch_norms(model).items()}


def population(model, batches, weights=None, take=None):
    """Measure mean and biased variance of each layer's input over all samples and positions.

    Every layer before it normalises with its own population statistics, and dropout is off: the result is
    what one single batch of all samples would give in training mode, however they are split. In one pass over
    the network all batches advance together from layer to layer, where their moments are pooled exactly (law
    of total variance, float64); PreciseBN normalises each batch with its own and averages the moments. What
    the network holds alive at a layer (input, shortcut, images) is in memory for all batches at once. The
    model is left as it was, whatever happens.

    Args:
        model: any built model that runs eagerly.
        batches: a sequence of float32 images ``(N, H, W, C)``, or of tuples (images, labels); or a data set.
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

    def forward(i):
        with modes.without_gradients():
            outputs = model(_inputs(batches[i]), training=False)
        if take is not None:
            take(i, outputs)

    forwards = [partial(forward, i) for i in range(len(batches))]
    # the layers are in inference mode and get their population statistics as moving ones, until the end
    with modes.in_inference(model), forgetting(model), ExitStack() as stack:
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
    kept = [(variable, value(variable)) for layer in given for variable in _moving(layer)]
    try:
        _put(layers, statistics)
        yield
    finally:
        for variable, values in kept:
            variable.assign(values)


@contextmanager
def forgetting(model):
    """Have the graphs in a model drop tensors after their last use; Keras's own keep them all."""
    with ExitStack() as stack:
        for layer in model._flatten_layers():
            if hasattr(layer, "_run_through_graph"):  # a functional model
                stack.enter_context(replaced(layer, _run_through_graph=_forgetful(layer)))
        yield


def _forgetful(model):
    """A run through a functional model's graph that drops tensors after their last use."""
    depths = sorted(model._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in model._nodes_by_depth[depth] if not node.is_input]
    inputs_of = {node: {id(tensor) for tensor in node.input_tensors} for node in nodes}
    last = {key: node for node in nodes for key in inputs_of[node]} | {id(x): None for x in model.outputs}

    def run_through_graph(inputs, operation_fn):
        values = dict(zip(map(id, model.inputs), keras.tree.flatten(inputs), strict=True))
        for node in nodes:
            args, options = node.arguments.fill_in(values)
            for key in (key for key in inputs_of[node] if last[key] is node):
                del values[key]
            outputs = operation_fn(node.operation)(*args, **options)
            values.update(zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True))
            del args, options, outputs
        return keras.tree.pack_sequence_as(model._outputs_struct, [values[id(x)] for x in model.outputs])

    return run_through_graph


def _moving(layer):
    return layer.moving_mean, layer.moving_variance


def _put(layers, statistics):
    for name, pair in statistics.items():
        if name not in layers:
            raise ValueError(f"statistics has layer {name!r}; the model's are {', '.join(layers) or 'none'}")
        for variable, values in zip(_moving(layers[name]), pair, strict=True):
            if np.shape(values) != tuple(variable.shape):
                raise ValueError(
                    f"statistics of {name} are {np.shape(values)}; its are {tuple(variable.shape)}"
                )
            variable.assign(np.asarray(values, variable.dtype))


@contextmanager
def _stopping(layer, name):
    """Make every forward pass stop before the layer."""
    call = layer.call

    def stop_and_call(inputs, training=None, **options):
        lockstep.stop(name, _moments(inputs, layer.axis, options.get("mask")))
        return call(inputs, training=training, **options)

    with replaced(layer, call=stop_and_call):
        yield


def _by_number(batches):
    """Return batches that can be asked for by their number; what a loader gives is read once and held."""
    return batches if hasattr(batches, "__getitem__") else list(batches)


def _inputs(batch):
    """Make tensors of a batch's inputs, so that its arrays aren't in memory as long as the pass takes."""
    return tensors((batch[0] if isinstance(batch, (tuple, list)) else batch,))[0]


def _moments(x, axis, mask):
    rows = np.moveaxis(keras.ops.convert_to_numpy(x), axis, -1)
    kept = None if mask is None else keras.ops.convert_to_numpy(mask).ravel()
    return lockstep.moments(rows.reshape(-1, rows.shape[-1]), len(rows), kept)
