"""A person's own model, from the name that they give it."""

import importlib
import importlib.util
import sys
from pathlib import Path

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
    except Exception as error:
        raise ValueError(f"{module} can't be imported: {type(error).__name__}: {error}") from error
    try:
        for part in name.split("."):
            loaded = getattr(loaded, part)
    except AttributeError as error:
        raise ValueError(f"{module} has no {name}") from error
    return loaded


def inputs(model):
    """What a model takes; a module doesn't say."""
    return []


def loss(model):
    """What a model is compiled with: PyTorch's never are."""
    return


def save(model, path):
    """Write a model's state dict as a ``.safetensors``, or as a ``.pth``."""
    from safetensors.torch import save_model

    if str(path).endswith(".safetensors"):
        save_model(model, str(path))
    else:
        torch.save(model.state_dict(), path)
