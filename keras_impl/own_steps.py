"""A person's own `train_step` and `test_step`: called as `fit` and `evaluate` call them, and nothing is updated."""

from contextlib import ExitStack, contextmanager
from functools import partial

import keras
import numpy as np

from .keeping import replaced


def overridden(model, name):
    """Whether a model has a step of its own, ``train_step`` or ``test_step``."""
    return getattr(type(model), name) is not getattr(keras.Model, name)


def refuse_without_evaluation(model):
    """Refuse a model that trains by a step of its own and has nothing that `evaluate` could call.

    Raises:
        ValueError: it has neither a ``test_step`` nor a ``call``.
    """
    if overridden(model, "train_step") and not (overridden(model, "test_step") or overridden(model, "call")):
        lacks = "has a train_step of its own, and evaluate can't run it: give it a test_step"
        raise ValueError(f"{type(model).__name__} {lacks}, or say with step= what a batch's loss is")


def handed_on(raw, tensors):
    """A batch in the structure that `fit` hands it to a step in: inputs, targets and weights, or what it is instead.

    Args:
        raw: what the data gave.
        tensors: its inputs, targets and weights; where only the step knows its parts they are all inputs.
    """
    if isinstance(raw, tuple) and len(raw) not in (2, 3):
        return tensors[0] if len(raw) > 1 else (tensors[0],)
    return keras.utils.pack_x_y_sample_weight(*tensors)


@contextmanager
def in_training(model):
    """Have a model and its layers act as in training where the code that calls them doesn't say ``training=``.

    DIFFERS: in PyTorch the mode is the module's own, which the measurements set.
    """

    def resolve(layer, plain, name, call_spec, context, options):
        if name == "training" and context.entry_layer is layer and context.get_value(name) is None:
            context.set_value(name, True)
        return plain(name, call_spec, context, options)

    with ExitStack() as stack:
        for layer in model._flatten_layers():
            told = partial(resolve, layer, layer._resolve_and_populate_arg)
            stack.enter_context(replaced(layer, _resolve_and_populate_arg=told))
        yield


def taken(model, data, training, updated, listen=True):
    """Call a model's own step; in training its optimizers do nothing.

    Args:
        model: the model.
        data: a batch, as `fit` unpacks it.
        training: whether its ``train_step``; its ``test_step`` otherwise.
        updated: a set, which the ids of the variables that the step would update are added to.
        listen: whether to listen to what the model returns in it; not where several steps pass side by side.

    Returns:
        What the step says, what the model returned in it last, and whether that was of the batch's inputs as they are;
        None and False where that has no values.
    """
    if keras.backend.backend() == "jax":
        return _functional(model, data, training, updated), None, False
    seen = []
    with ExitStack() as stack:
        for optimizer in _optimizers(model) if training else ():
            stack.enter_context(_idle(optimizer, updated))
        if listen:
            stack.enter_context(_overheard(model, data, seen))
        said = model.train_step(data) if training else model.test_step(data)
    return said, *(seen[-1] if seen else (None, False))


def _optimizers(model):
    held = [*vars(model).values()]
    return list({id(item): item for item in held if isinstance(item, keras.optimizers.Optimizer)}.values())


def _idle(optimizer, updated):
    """Keep an optimizer from changing anything, and note the ids of the variables that it would change."""

    def apply(grads, trainable_variables=None):
        given = optimizer._trainable_variables if trainable_variables is None else trainable_variables
        apply_gradients(zip(grads, given, strict=False))

    def apply_gradients(grads_and_vars, *args, **options):
        updated.update(id(v) for gradient, v in grads_and_vars if gradient is not None)

    def nothing(*args, **options):
        return None

    return replaced(optimizer, apply=apply, apply_gradients=apply_gradients, stateless_apply=nothing)


def _functional(model, data, training, updated):
    """Call a step of JAX's kind, a function of all variables, and take over what an evaluation changes."""
    if training and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    parts = [model.trainable_variables, model.non_trainable_variables]
    parts += [model.optimizer.variables] if training else []
    parts.append(model.metrics_variables)
    state = tuple([variable.value for variable in part] for part in parts)
    said, state = model.train_step(state, data) if training else model.test_step(state, data)
    kept = parts[-1:] if training else parts[1:]
    if training:
        changed = (not np.array_equal(v, new) for v, new in zip(parts[0], state[0], strict=True))
        updated.update(id(v) for v, apart in zip(parts[0], changed, strict=True) if apart)
    for variables, values in zip(kept, state[-len(kept) :], strict=True):
        for variable, held in zip(variables, values, strict=True):
            variable.assign(held)
    return said


def _overheard(model, data, seen):
    """Listen to what the model itself returns while a step of its own runs, and whether it was given the inputs."""
    call, inputs = model.call, keras.utils.unpack_x_y_sample_weight(data)[0]

    def listen(*args, **options):
        outputs = call(*args, **options)
        seen.append((outputs, _leaves(args) == _leaves(inputs)))
        return outputs

    return replaced(model, call=listen)


def _leaves(part):
    return [id(leaf) for leaf in keras.tree.flatten(part)]
