"""Named arrays written as files: state dicts.

What a state dict can't say (epsilon, strides) is kept beside it: in the metadata of a ``.safetensors``, or where
PyTorch keeps its modules' versions.
"""

import json
from collections import OrderedDict
from pathlib import Path

import safetensors.torch
import torch

from .files import _FACTS, _TO_TORCH, _reordered
from .names import BATCH_NORM_KINDS, MODULES, TORCHVISION, to_tensor


def write(path, arrays, facts, layout):
    """Write named arrays as a state dict, in the arrays' dtype, the batch counters 0.

    Args:
        path: ends in ``.pth``, ``.pt`` or ``.safetensors``.
        arrays: of a whole network, by neutral name.
        facts: as `networks.build` takes them; kept in the file.
        layout: ``torchvision`` or ``project``: whose names the modules have. Layers of a head that
            torchvision doesn't know keep their own.

    Raises:
        OSError, RuntimeError: the file can't be written.
    """
    state = _state(arrays, facts, layout)
    if Path(path).suffix == ".safetensors":
        metadata = {_FACTS: json.dumps(facts, sort_keys=True)}
        safetensors.torch.save_file(state, path, metadata)
    else:
        ordered = OrderedDict(state)
        ordered._metadata = {"": {"version": 1}, _FACTS: facts}
        torch.save(ordered, path)


def _state(arrays, facts, layout):
    """Name and lay out arrays as PyTorch has them."""
    if layout == "torchvision":
        modules = {layer: module for module, layer in TORCHVISION[facts["backbone"]].items()}
    else:
        modules = {layer: module for module, layer in MODULES.items()}
        tops = {layer["name"] for layer in facts["top"]}
        layers = {name.rpartition("/")[0] for name in arrays}
        parts = {layer: ("head." if layer in tops else "backbone.") if tops else "" for layer in layers}
        modules = {layer: parts[layer] + modules.get(layer, layer) for layer in layers}
    keys = {kind: key for key, kind in BATCH_NORM_KINDS.items()} | {"kernel": "weight", "bias": "bias"}
    arrays = _reordered(arrays, _TO_TORCH)
    state = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition("/")
        module = modules.get(layer, layer)
        state[f"{module}.{keys[kind]}"] = to_tensor(array, "")
        if kind == "moving_variance":
            state[f"{module}.num_batches_tracked"] = torch.tensor(0)
    return state
