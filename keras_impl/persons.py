"""A person's own model, from the name that they give it."""

import importlib
import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np

from . import keeping


def load(reference, dtype="float64"):
    """Import a model.

    Args:
        reference: a ``.keras`` or ``.h5`` file, ``FILE.py:NAME`` or ``package.module:NAME``: a model, or a function
            without arguments that returns one, or a pair of a model and its optimizer.
        dtype: what it is to compute in.

    Returns:
        The model, and its optimizer or None.

    Raises:
        ValueError: it can't be had, in one line.
    """
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if reference.endswith((".keras", ".h5", ".hdf5")):
        try:
            found = keras.saving.load_model(reference)
        except Exception as error:
            raise ValueError(f"{reference} can't be loaded: {' '.join(str(error).split())[:300]}") from error
    else:
        made = named(reference)
        try:
            found = made() if callable(made) and not isinstance(made, keras.Model) else made
        except Exception as error:
            raise ValueError(f"{reference} fails: {type(error).__name__}: {error}") from error
    model, optimizer = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(model, keras.Model):
        raise ValueError(f"{reference} gives a {type(model).__name__}, not a keras.Model")
    if optimizer is None and getattr(model, "compiled", False):
        optimizer = model.optimizer
    if optimizer is not None and not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(f"{reference} gives a {type(optimizer).__name__} beside the model, not an optimizer")
    return _in(model, dtype), optimizer


def named(reference):
    """Import what a reference names.

    Raises:
        ValueError: there is no such module or name, or importing it fails.
    """
    module, _, name = reference.rpartition(":")
    # a script that reads its own arguments finds none and takes its defaults
    sys.argv = [module]
    try:
        if module.endswith(".py"):
            path = Path(module).resolve()
            sys.path.insert(0, str(path.parent))
            spec = importlib.util.spec_from_file_location(f"person_{path.stem}", path)
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = loaded
            spec.loader.exec_module(loaded)
        else:
            sys.path.insert(0, str(Path.cwd()))
            loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{module} can't be imported: {type(error).__name__}: {error}") from error
    try:
        for part in name.split("."):
            loaded = getattr(loaded, part)
    except AttributeError as error:
        raise ValueError(f"{module} has no {name}") from error
    return loaded


def inputs(model):
    """What a model takes: a list of ``shape`` (None for the batch and what is open), ``integer`` and ``below``."""
    from .observing import paths

    tables = [layer for _, layer in paths(model).values() if isinstance(layer, keras.layers.Embedding)]
    found = []
    for one in getattr(model, "inputs", None) or []:
        reading = [
            t for t in tables if any(one is x for node in t._inbound_nodes for x in node.input_tensors)
        ]
        integer = "int" in str(one.dtype) or bool(reading)
        below = min((t.input_dim for t in reading or tables), default=2) if integer else 0
        found.append({"shape": list(one.shape), "integer": integer, "below": below, "name": one.name})
    return found


def loss(model):
    """What a model is compiled with: ``kind``, ``logits``, ``smoothing`` and ``summed``.

    Returns:
        None if it isn't compiled, or with another one.
    """
    given = getattr(model, "loss", None)
    if given is None or isinstance(given, (list, tuple, dict)):
        return None
    if isinstance(given, str):
        given = keras.losses.get(given)
    name = getattr(given, "name", None) or getattr(given, "__name__", "")
    kinds = {
        "crossentropy": "crossentropy",
        "binary": "binary",
        "mean_squared_error": "mse",
        "mean_absolute_error": "mae",
    }
    name = "binary" if name.startswith("binary") else name
    kind = next((kind for part, kind in kinds.items() if part in name), None)
    if kind is None:
        return None
    config = given.get_config() if hasattr(given, "get_config") else {}
    smoothing = float(config.get("label_smoothing") or 0.0)
    summed = config.get("reduction") == "sum"
    return {
        "kind": kind, "logits": bool(config.get("from_logits")), "smoothing": smoothing, "summed": summed
    }  # fmt: skip


def data(reference, most):
    """Load data that a person names, as arrays.

    Args:
        reference: ``FILE.py:NAME``: ``(x, y)``, batches of such, or a function without arguments that returns either; x
            and y are arrays or tensors, or several of them.
        most: samples that are needed; no more batches are asked for.

    Returns:
        Inputs and targets, a list of numpy arrays each.

    Raises:
        ValueError: they can't be had, in one line.
    """
    try:
        given = named(reference)
        given = given() if callable(given) and not hasattr(given, "__iter__") else given
        if isinstance(given, (tuple, list)) and len(given) == 2 and _leaves(given[0]):
            return tuple([_array(part) for part in _leaves(side)] for side in given)
        parts, count = [], 0
        for x, y, *_ in given:
            parts.append([[_array(part) for part in _leaves(side)] for side in (x, y)])
            count += len(parts[-1][0][0])
            if count >= most:
                break
        both = zip(*parts, strict=True)
        return tuple([np.concatenate(arrays) for arrays in zip(*side, strict=True)] for side in both)
    except Exception as error:
        raise ValueError(f"{reference}: gives no data (x, y): {type(error).__name__}: {error}") from error


def _leaves(value):
    """The arrays of a nest, in order; none where there are no arrays in it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        found = [_leaves(part) for part in value]
        return [leaf for part in found for leaf in part] if all(found) else []
    return [value] if hasattr(value, "shape") and hasattr(value, "dtype") else []


def _array(value):
    return np.asarray(keras.ops.convert_to_numpy(value))


def save(model, path):
    """Write a model as a ``.keras`` file, or its weights as a ``.weights.h5``."""
    if str(path).endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)


def _in(model, dtype):
    """The model with all its layers in a dtype; one that was saved in another is made again."""
    kinds = {str(w.dtype) for w in model.weights if "float" in str(w.dtype)}
    if kinds <= {dtype}:
        return model
    try:
        config = _renamed(model.get_config(), dtype)
        made = type(model).from_config(config)
        for new, old in zip(made.weights, model.weights, strict=True):
            new.assign(keeping.value(old))
    except Exception as error:
        raise ValueError(
            f"the model can't be computed in {dtype}: {type(error).__name__}: {error}"
        ) from error
    made.loss = getattr(model, "loss", None)
    return made


def _renamed(config, dtype):
    if isinstance(config, dict):
        return {key: _renamed(value, dtype) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_renamed(value, dtype) for value in config)
    return dtype if isinstance(config, str) and config in ("float32", "float16", "bfloat16") else config
