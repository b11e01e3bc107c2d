"""A person's own model, from the name that they give it."""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch


def load(reference, dtype="float64"):
    """Import a model.

    Args:
        reference: ``FILE.py:NAME`` or ``package.module:NAME``: a model, or a function without arguments that returns
            one, or a pair of a model and its optimizer.
        dtype: what it is to compute in.

    Returns:
        The model, and its optimizer or None.

    Raises:
        ValueError: it can't be had, in one line.
    """
    torch.set_default_dtype(getattr(torch, dtype))
    made = named(reference)
    try:
        found = made() if callable(made) and not isinstance(made, torch.nn.Module) else made
    except Exception as error:
        raise ValueError(f"{reference} fails: {type(error).__name__}: {error}") from error
    model, optimizer = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"{reference} gives a {type(model).__name__}, not a torch.nn.Module")
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(f"{reference} gives a {type(optimizer).__name__} beside the model, not an optimizer")
    return model.to(getattr(torch, dtype)).cpu(), optimizer


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
    return np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)


def save(model, path):
    """Write a model's state dict as a ``.safetensors``, or as a ``.pth``."""
    from safetensors.torch import save_model

    if str(path).endswith(".safetensors"):
        save_model(model, str(path))
    else:
        torch.save(model.state_dict(), path)
