"""Structures of tensors: lists, tuples and dictionaries of them, as models take and give them.

DIFFERS: Keras has `keras.tree` for these.
"""

import copy

import numpy as np
import torch

# what targets are called where inputs and targets have names
TARGETS = ("labels", "label", "targets", "target", "y")
LESSER = (torch.float16, torch.bfloat16)
# values that a sparse tensor is written out to; of a larger one its entries stand for it
WRITTEN_OUT = 2**22


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
    if (held := fields(value)) is not None:
        return _moved_object(value, held, device)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(item, device, dtype) for item in value))
    return (
        type(value)(moved(item, device, dtype) for item in value)
        if isinstance(value, list | tuple)
        else value
    )


def _moved_object(value, held, device):
    if hasattr(value, "to"):
        return value.to(device)
    if all(tensor.device == device for tensor in held.values()):
        return value
    value = copy.copy(value)
    for name, tensor in held.items():
        object.__setattr__(value, name, tensor.to(device))
    return value


def names(value):
    """The keys of what has some, a mapping or only like one."""
    return list(value.keys() if callable(value.keys) else value.keys)


def fields(value):
    """The tensors in an object of a person's own class by name, such as a batch of graphs; None in other things."""
    if isinstance(value, torch.Tensor | torch.nn.Module) or hasattr(value, "keys"):
        return None
    held = getattr(value, "__dict__", None)
    if held is None or isinstance(value, type):
        return None
    return {name: item for name, item in held.items() if isinstance(item, torch.Tensor)} or None


def size(value):
    """Number of samples: of a batch of graphs, or the length of the first tensor, or of targets that have a name."""
    if isinstance(value, torch.Tensor):
        return len(value) if value.ndim else 1
    if isinstance(count := getattr(value, "num_graphs", None), int):
        return count
    if (held := fields(value)) is not None:
        return next(
            (len(held[name]) for name in TARGETS if name in held and held[name].ndim),
            size(list(held.values())),
        )
    if hasattr(value, "keys"):
        value = [value[key] for key in names(value)]
    if listed(value):
        return len(value[0])
    if isinstance(value, list | tuple):
        return next((n for item in value if (n := size(item))), 0)
    return 0


def plain(value):
    """A tensor without axes as a Python number; anything else as it is."""
    return value.item() if isinstance(value, torch.Tensor) and not value.ndim else value


def listed(value):
    """Whether a batch lists its samples one by one: images and a dictionary each, as detection has them."""
    parts = value if isinstance(value, list | tuple) else ()
    return (
        bool(parts)
        and all(isinstance(part, list | tuple) for part in parts)
        and len({len(part) for part in parts}) == 1
        and any(part and all(hasattr(item, "keys") for item in part) for part in parts)
    )


def summed(value):
    """One row for each sample of a batch that lists them: numbers that are others for another sample, ``(N, 2)``."""
    rows = []
    for sample in zip(*value, strict=True):
        tensors = [tensor.detach().double().cpu() for _, tensor in leaves("", list(sample))]
        rows.append([sum(t.sum().item() for t in tensors), sum(t.square().sum().item() for t in tensors)])
    return np.array(rows).view(np.int64)


def one(value, i):
    """The part of a structure that is one sample's."""
    if isinstance(value, dict):
        return {key: item[i : i + 1] for key, item in value.items()}
    return [item[i : i + 1] for item in value] if isinstance(value, list | tuple) else value[i : i + 1]


def array(value):
    """Outputs or targets as arrays: a tensor, or a flat list of what a structure holds."""
    if isinstance(value, torch.Tensor):
        value = strided(value.detach())
        return (value.float() if value.dtype in LESSER else value).cpu().numpy()
    if hasattr(value, "keys"):
        value = [value[key] for key in names(value)]
    return [array(item) for item in value if item is not None] if isinstance(value, list | tuple) else None


def sums(output):
    """Yield the sum of each tensor, as text that can be compared."""
    for _, tensor in leaves("", output):
        yield str(tensor.detach().double().sum().item() if not tensor.is_complex() else 0.0)


def leaves(name, value):
    """Yield the tensors of a structure with a name each."""
    if isinstance(value, torch.Tensor):
        yield name, strided(value)
    elif hasattr(value, "keys"):
        for key in names(value):
            yield from leaves(f"{name}.{key}", value[key])
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from leaves(f"{name}.{i}", item)
    elif (held := fields(value)) is not None:
        for key, tensor in held.items():
            yield from leaves(f"{name}.{key}", tensor)


def changed(tensor, change):
    """A floating-point tensor changed as an array, images as ``(N, H, W, C)``; anything else as it is."""
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        return tensor
    array = tensor.detach().cpu().to(torch.float64).numpy()
    image = tensor.ndim == 4
    array = change(np.moveaxis(array, 1, -1)) if image else change(array)
    array = np.moveaxis(array, -1, 1) if image else array
    return torch.from_numpy(np.ascontiguousarray(array)).to(tensor.device, tensor.dtype)


def with_inputs(value, change):
    """A batch with names for its parts, its inputs changed: what isn't called as targets are."""
    held = fields(value)
    if held is None:
        return {name: value[name] if name in TARGETS else change(value[name]) for name in names(value)}
    value = copy.copy(value)
    for name, tensor in held.items():
        if name not in TARGETS:
            object.__setattr__(value, name, change(tensor))
    return value


def floats(value):
    """Whether a structure holds floating-point tensors."""
    return any(tensor.is_floating_point() for _, tensor in leaves("", value))


def strided(tensor):
    """A tensor as it is, or what numpy can hold of a sparse one, such as a graph's adjacency matrix."""
    if tensor.layout == torch.strided:
        return tensor
    if tensor.numel() <= WRITTEN_OUT:
        return tensor.to_dense()
    return (tensor.coalesce() if tensor.layout == torch.sparse_coo else tensor).values()


def equal(one, other):
    """Whether two tensors of one shape hold the same, sparse ones too."""
    return torch.equal(strided(one), strided(other))


def mapped(value, change):
    """The same structure with each item changed."""
    if hasattr(value, "keys"):
        return {key: change(item) for key, item in value.items()}
    return type(value)(map(change, value)) if isinstance(value, list | tuple) else change(value)


def taken(values, where):
    """Samples of several batches of the same structure, at (batch, place) each.

    Raises:
        ValueError: the samples don't lie along the first axis of all tensors.
    """
    first = values[0]
    if listed(first):
        return type(first)(
            type(part)([values[batch][i][place] for batch, place in where]) for i, part in enumerate(first)
        )
    for value in values:
        lengths = {tensor.shape[:1] for _, tensor in leaves("", value)}
        if len(lengths) > 1:
            raise ValueError("the tensors of a batch are of several lengths, so that it can't be dealt anew")
    return _taken(values, where)


def _taken(values, where):
    first = values[0]
    if isinstance(first, torch.Tensor):
        if first.layout != torch.strided:
            raise ValueError("a batch holds a sparse tensor, which can't be dealt anew")
        return torch.stack([values[batch][place] for batch, place in where])
    if hasattr(first, "keys"):
        return {key: _taken([value[key] for value in values], where) for key in first}
    if isinstance(first, list | tuple):
        return type(first)([_taken(list(parts), where) for parts in zip(*values, strict=True)])
    raise ValueError(f"a batch holds {type(first).__name__}, which can't be dealt anew")
