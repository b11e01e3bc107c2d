"""Structures of tensors: lists, tuples and dictionaries of them, as models take and give them.

DIFFERS: Keras has `keras.tree` for these.
"""

import numpy as np
import torch

LESSER = (torch.float16, torch.bfloat16)


def moved(value, device, dtype):
    """The same structure with its tensors on a device, arrays made into tensors, and their fractions into a type."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return torch.as_tensor(value, device=device, dtype=dtype if value.dtype.kind == "f" else None)
    if isinstance(value, dict):
        return type(value)({key: moved(item, device, dtype) for key, item in value.items()})
    if hasattr(value, "keys") and hasattr(value, "to"):
        return value.to(device)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(item, device, dtype) for item in value))
    return (
        type(value)(moved(item, device, dtype) for item in value)
        if isinstance(value, list | tuple)
        else value
    )


def size(value):
    """Number of samples: the length of the first tensor."""
    if isinstance(value, torch.Tensor):
        return len(value) if value.ndim else 1
    if hasattr(value, "keys"):
        value = [value[key] for key in value]
    if isinstance(value, list | tuple):
        return next((n for item in value if (n := size(item))), 0)
    return 0


def one(value, i):
    """The part of a structure that is one sample's."""
    if isinstance(value, dict):
        return {key: item[i : i + 1] for key, item in value.items()}
    return [item[i : i + 1] for item in value] if isinstance(value, list | tuple) else value[i : i + 1]


def array(value):
    """Outputs or targets as arrays: a tensor, or a flat list of what a structure holds."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return (value.float() if value.dtype in LESSER else value).cpu().numpy()
    if hasattr(value, "keys"):
        value = [value[key] for key in value]
    return [array(item) for item in value if item is not None] if isinstance(value, list | tuple) else None


def sums(output):
    """Yield the sum of each tensor, as text that can be compared."""
    for _, tensor in leaves("", output):
        yield str(tensor.detach().double().sum().item() if not tensor.is_complex() else 0.0)


def leaves(name, value):
    """Yield the tensors of a structure with a name each."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif hasattr(value, "keys"):
        for key in value:
            yield from leaves(f"{name}.{key}", value[key])
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from leaves(f"{name}.{i}", item)


def mapped(value, change):
    """The same structure with each item changed."""
    if hasattr(value, "keys"):
        return {key: change(item) for key, item in value.items()}
    return type(value)(map(change, value)) if isinstance(value, list | tuple) else change(value)


def taken(values, where):
    """Samples of several batches of the same structure, at (batch, place) each."""
    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.stack([values[batch][place] for batch, place in where])
    if hasattr(first, "keys"):
        return {key: taken([value[key] for value in values], where) for key in first}
    if isinstance(first, list | tuple):
        return type(first)([taken(list(parts), where) for parts in zip(*values, strict=True)])
    raise ValueError(f"a batch holds {type(first).__name__}, which can't be dealt anew")
