"""Named arrays written as files: state dicts.

What a state dict can't say (epsilon, strides) is kept beside it: in the metadata of a ``.safetensors``, or where
PyTorch keeps its modules' versions.
"""

import json
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

# where the record is kept
FACTS = "facts"
KEYS = {
    **{"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"},
    **{"moving_mean": "running_mean", "moving_variance": "running_var"},
}


def write(path, arrays, network, layout, names):
    """Write named arrays as a state dict, in the arrays' dtype, the batch counters 0.

    DIFFERS: a state dict holds no graph, so that ``layout`` is nothing but the ``names``.

    Args:
        path: ends in ``.pth``, ``.pt`` or ``.safetensors``.
        arrays: of a whole network, by neutral name.
        network: a record as `networks.build` takes it, a dataclass; kept in the file.
        layout: whose model the weights are to fit.
        names: layer -> name of the module that it is there; others keep their own.

    Raises:
        OSError, RuntimeError: the file can't be written.
    """
    state = _state(arrays, network, names)
    if Path(path).suffix == ".safetensors":
        metadata = {FACTS: json.dumps(asdict(network), sort_keys=True)}
        safetensors.torch.save_file(state, path, metadata)
    else:
        ordered = OrderedDict(state)
        ordered._metadata = {"": {"version": 1}, FACTS: asdict(network)}
        torch.save(ordered, path)


def _state(arrays, network, names):
    """Name and lay out arrays as PyTorch has them."""
    flattened = f"{network.top[0].name}/kernel" if network.pooling == "flatten" else ""
    state = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition("/")
        module = names.get(layer, layer)
        if name == flattened:
            array = _rows_to_torch(array, *network.map)
        state[f"{module}.{KEYS[kind]}"] = _to_tensor(array)
        if kind == "moving_variance":
            state[f"{module}.num_batches_tracked"] = torch.tensor(0)
    return state


def _rows_to_torch(kernel, height, width):
    """Reorder the rows of a dense kernel that sees a flattened map: PyTorch has (C, H, W), Keras (H, W, C)."""
    rows = kernel.reshape(height, width, -1, kernel.shape[1]).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(rows).reshape(kernel.shape)


def _to_tensor(array):
    """Copy an array to PyTorch's layout."""
    array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    return torch.from_numpy(np.array(array, order="C"))
