"""All state of a model: hash it, and put it back to the last bit.

State is every variable (weights, moving statistics, the optimizer's, the metrics', the seeds of dropout), every
attribute of every layer, and the random generators of Python, NumPy and the framework.
"""

import hashlib
import pickle
import random
import sys
import zlib
from contextlib import contextmanager

import keras
import numpy as np

# there is no public way to the generator that Keras draws from where a layer has none: `keras.utils.set_random_seed`
# throws it away, and nothing reads it
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR

from .remembering import Memory, undisturbed

_COMPILED = ("_compile_metrics", "_compile_loss", "_loss_tracker", "optimizer")
_SEEDS = 2**31 - 1
_FUNCTIONS = ("train_function", "test_function", "predict_function")
# what a first call sets, and what nothing else depends on
_UNIMPORTANT = ("_called", "_losses", "_loss_ids", "_arguments_seen")


@contextmanager
def kept(model, weights=True, optimizer=True):
    """Put all state of a model back at the end, also when an error or Ctrl-C ended the block.

    Args:
        model: a built model.
        weights: False leaves out what an optimizer changes, which a pass without gradients doesn't, and a copy of
            which may take gigabytes.
        optimizer: False leaves out what the optimizer holds. DIFFERS: PyTorch's are no part of a module.
    """
    snapshot = _Snapshot(model, weights, optimizer)
    try:
        yield
    finally:
        with undisturbed():
            snapshot.restore()


def state(model, trained=True):
    """Hash all state of a model, item by item.

    Args:
        trained: False leaves out what training alone changes: what the optimizer holds.

    Returns:
        ``part:name`` -> hash. Parts are ``weights``, ``statistics`` (what no optimizer changes), ``modes``
        (whether a layer trains), ``optimizer``, ``metrics``, ``memory`` (what a layer keeps for its next call and
        Keras doesn't list), ``random`` and ``other``.
    """
    found = {f"weights:{v.path}": _hash(value(v)) for v in model.trainable_variables}
    for variable in model.non_trainable_variables:
        found[f"{'random' if _is_seed(variable) else 'statistics'}:{variable.path}"] = _hash(value(variable))
    for i, variable in enumerate(_optimizer_variables(model) if trained else ()):
        found[f"optimizer:{i}.{variable.path}"] = _hash(value(variable))
    metrics = {id(metric): metric for metric in (*model.metrics, *_given_metrics(model))}.values()
    for i, variable in enumerate(v for metric in metrics for v in metric.variables):
        found[f"metrics:{i}.{variable.path}"] = _hash(value(variable))
    for i, layer in enumerate(model._flatten_layers()):
        found[f"modes:{i}.{layer.name}"] = str(layer.trainable)
        found |= {f"other:{i}.{layer.name}.{name}": repr(held) for name, held in _plain(layer).items()}
    found |= {name: _hash(value(variable)) for name, variable in _untracked(model).items()}
    found |= {f"other:{name}": str(id(getattr(model, name, None))) for name in _FUNCTIONS}
    _, (python, numpy, seed, framework) = random_state()
    drawn = {"python": python, "numpy": numpy, "keras": seed and seed[1].tolist(), "framework": framework}
    return found | {f"random:{name}": _hash(held) for name, held in drawn.items()}


def attributes(model):
    """Remember what layers, metrics and what `compile` makes keep in their attributes: a `Memory`."""
    return _remembered(_objects(model))


def value(variable):
    """Copy the values of a variable as an array."""
    held = variable.value if isinstance(variable, keras.Variable) else variable
    return np.array(keras.ops.convert_to_numpy(held))


@contextmanager
def variables_kept(variables):
    """Put the values of some variables back at the end."""
    values = [(variable, value(variable)) for variable in variables]
    try:
        yield
    finally:
        for variable, before in values:
            variable.assign(before)


@contextmanager
def metrics_kept(model):
    """Put back what the metrics of a model hold; those that have no variables yet lose them again."""
    memory = _remembered({id(item): item for item in (*_compiled(model), *model.metrics)}.values())
    metrics = [*model.metrics, *_given_metrics(model)]
    with variables_kept([v for metric in metrics for v in metric.variables]):
        try:
            yield
        finally:
            memory.put_back()


def random_state(model=None):
    """Copy the states of all generators of the process, and of a model's layers."""
    seeds = [(v, value(v)) for v in _seeds(model)]
    return seeds, (random.getstate(), np.random.get_state(), _keras_generator(), _framework_generator())  # noqa: NPY002


def set_random_state(generators):
    """Put the generators' states back, as `random_state` gave them."""
    seeds, (python, numpy, seed, framework) = generators
    for variable, values in seeds:
        variable.assign(values)
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    _set_keras_generator(seed)
    _set_framework_generator(framework)


def seed_all(seed, model=None):
    """Seed all generators: whatever is drawn next depends on the seed, and of a model on the layer, alone.

    DIFFERS: each Keras layer has a generator of its own; PyTorch has one for all.
    """
    mixed = zlib.crc32(repr(seed).encode()) % _SEEDS
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002
    states = _seeds(model)
    if held := _keras_generator():
        states.append(held[0].state)
    for i, variable in enumerate(states):
        variable.assign(np.array([(mixed + 7919 * i) % _SEEDS, 0], variable.dtype))
    if keras.backend.backend() == "torch":
        sys.modules["torch"].manual_seed(mixed)
    elif keras.backend.backend() == "tensorflow":
        context = _tensorflow_context()
        context._seed, context._rng = mixed, random.Random(mixed)


@contextmanager
def replaced(target, **values):
    """Give an object other attributes for a while, past Keras's tracking of attributes."""
    attributes = vars(target)
    before = {name: attributes[name] for name in values if name in attributes}
    attributes.update(values)
    try:
        yield
    finally:
        for name in values:
            del attributes[name]
        attributes.update(before)


class _Snapshot:
    """A copy of all state of a model."""

    def __init__(self, model, weights, optimizer):
        self.generators = random_state()
        found = [*(model.variables if weights else model.non_trainable_variables)]
        found += _untracked(model).values()
        found += _optimizer_variables(model) if optimizer else []
        found += [v for metric in (*model.metrics, *_given_metrics(model)) for v in metric.variables]
        self.values = [(v, value(v)) for v in {id(v): v for v in found}.values()]
        self.memory = _remembered(_objects(model))
        self.gradients = [(v, gradient) for v, _ in self.values if (gradient := _gradient(v)) is not None]

    def restore(self):
        self.memory.put_back()
        for variable, values in self.values:
            if value(variable).tobytes() != values.tobytes():
                variable.assign(values)
            if _gradient(variable) is not None:
                variable.value.grad = None
        for variable, gradient in self.gradients:
            variable.value.grad = gradient
        set_random_state(self.generators)


def _gradient(variable):
    """Copy a variable's gradient, which PyTorch's backend keeps beside it; None where there is none."""
    gradient = (
        getattr(getattr(variable, "value", None), "grad", None)
        if keras.backend.backend() == "torch"
        else None
    )
    return None if gradient is None else gradient.clone()


def _remembered(items):
    """What objects keep as attributes, however deep; Keras's own objects are listed, and not looked for."""
    kinds, of_type = keras.Layer | keras.metrics.Metric | keras.optimizers.Optimizer | keras.Variable, {}

    def known(held):
        # what is a tensor takes TensorFlow long to say, and a value's type tells it
        kind = type(held)
        if kind not in of_type:
            of_type[kind] = isinstance(held, kinds) or keras.ops.is_tensor(held)
        return of_type[kind]

    return Memory([vars(item) for item in items], known)


def _hash(item):
    if not isinstance(item, np.ndarray):
        return hashlib.sha256(pickle.dumps(item)).hexdigest()
    return hashlib.sha256(f"{item.dtype}{item.shape}".encode() + item.tobytes()).hexdigest()


def _untracked(model):
    """What layers keep as variables and Keras doesn't list: ``part:name`` -> variable, as `state` has it.

    The state that a recurrent layer goes on from; the framework's own variables and generators in a person's layer.
    """
    listed, found = {id(v) for v in model.variables}, {}
    for layer in model._flatten_layers():
        # what TensorFlow lists in attributes of its own has another name before
        for name, held in sorted(vars(layer).items(), key=lambda item: item[0].startswith("_")):
            for i, leaf in enumerate(_leaves(held)):
                part = "random" if hasattr(leaf, "reset_from_seed") else "memory"
                leaf = leaf.state if part == "random" else leaf  # a generator of TensorFlow's
                if callable(getattr(leaf, "assign", None)) and id(leaf) not in listed:
                    listed.add(id(leaf))
                    found[f"{part}:{layer.name}.{name}{f'[{i}]' if i else ''}"] = leaf
    return found


def _leaves(held, above=()):
    if isinstance(held, list | tuple | dict) and id(held) not in above:
        for part in held.values() if isinstance(held, dict) else held:
            yield from _leaves(part, (*above, id(held)))
    else:
        yield held


def _optimizer_variables(model):
    return list(getattr(model.optimizer, "variables", None) or ()) if model.compiled else []


def _seeds(model):
    return [] if model is None else [v for v in model.non_trainable_variables if _is_seed(v)]


def _is_seed(variable):
    return "seed_generator_state" in variable.path


def _objects(model):
    """List what may keep something in its attributes: layers, metrics, and what `compile` makes."""
    found = [*model._flatten_layers(), *model.metrics, *_compiled(model)]
    return list({id(item): item for item in found}.values())


def _given_metrics(model):
    """The metric objects that a model is compiled with, which it doesn't list before its first batch."""
    compiled = getattr(model, "_compile_metrics", None)
    given = [getattr(compiled, f"_user_{kind}", None) for kind in ("metrics", "weighted_metrics")]
    return [item for item in keras.tree.flatten(given) if isinstance(item, keras.metrics.Metric)]


def _compiled(model):
    return [part for name in _COMPILED if (part := getattr(model, name, None)) is not None]


def _plain(item):
    """Pick the attributes whose value is a number, a text or a truth, and whether the layer trains."""
    return {
        name: held
        for name, held in vars(item).items()
        if isinstance(held, bool | int | float | str) and name not in _UNIMPORTANT
    }


def _keras_generator():
    """Copy the state of the generator that Keras draws from where a layer has none."""
    generator = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    return None if generator is None else (generator, value(generator.state))


def _set_keras_generator(kept):
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, kept and kept[0])
    if kept:
        kept[0].state.assign(kept[1])


def _framework_generator():
    """Copy the state of the framework's own generator, which layers may draw from past Keras; JAX has none."""
    if keras.backend.backend() == "torch":
        return sys.modules["torch"].get_rng_state().numpy().copy()
    if keras.backend.backend() == "tensorflow":
        context = _tensorflow_context()
        generator = getattr(context, "_rng", None)  # none until the first seed is set or drawn
        return context._seed, generator and generator.getstate()
    return None


def _set_framework_generator(kept):
    if keras.backend.backend() == "torch":
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.from_numpy(kept.copy()))
    elif keras.backend.backend() == "tensorflow":
        context = _tensorflow_context()
        context._seed, generator = kept
        if generator is None:
            context._rng = None
        else:
            context._rng = getattr(context, "_rng", None) or random.Random()
            context._rng.setstate(generator)


def _tensorflow_context():
    """Get what TensorFlow draws the seeds of its operations from; there is no public way to it."""
    return sys.modules["tensorflow.python.eager.context"].context()
