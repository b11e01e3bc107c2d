"""Files of weights: state dicts, read as named arrays without a model and without executing anything."""

import json
import pickle
import re
import warnings
from math import isqrt
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch

from .names import of_state, to_array, torchvision

_DAMAGED = (OSError, KeyError, TypeError, RuntimeError, EOFError, safetensors.SafetensorError)
_PREPROCESSING = ("caffe", "torch")
_STATE_DICTS = ("state_dict", "model_state_dict", "model")  # what a checkpoint calls its state dict
_TO_KERAS, _TO_TORCH = (1, 2, 0, 3), (2, 0, 1, 3)  # axes of a dense kernel's rows, taken apart
_FACTS = "facts"  # where what the names don't say is kept


def read(path):
    """Read a file of weights without building a model and without executing anything in it.

    Args:
        path: a ``.pth`` or ``.safetensors`` of torchvision's or this project's models' state dict, or of a
            checkpoint that holds one, or a ``.safetensors`` of named arrays. The content tells which.

    Returns:
        ``arrays``, classifier and head included, and ``facts`` about them: ``backbone``, ``variant``,
        ``width`` and ``preprocessing`` (``caffe`` or ``torch``: what the images must have gone
        through; torchvision's names say ``torch``, a ``.safetensors`` may say it, else it is ``torch`` for
        v1.5 and ``caffe`` for v1), ``format`` in words, ``left`` (what of the file is no weight), ``told``
        (facts that the file itself names), and what else the file says: ``epsilon``, ``decay``,
        ``pooling`` and ``top`` as in `networks.build`.

    Raises:
        ValueError: the file is missing, truncated, of another format or architecture, or holds code.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"{path} is {'a directory' if path.is_dir() else 'missing'}; it must be a file of weights"
        )
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start.startswith((b"PK", b"\x80")):
            arrays, said = _read_pickle(path)
        elif start[8:] == b"{":
            arrays, said = _read_safetensors(path)
        else:
            raise ValueError("it is neither a state dict nor .safetensors")
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    except _DAMAGED as error:
        raise ValueError(
            f"{path} can't be read, it may be truncated: {' '.join(str(error).split())}"
        ) from error
    return arrays, _facts(arrays, said, path)


def _reordered(arrays, axes):
    """Reorder the rows of a dense kernel that sees a flattened map: PyTorch flattens (C, H, W), Keras (H, W, C)."""
    channels = max((array.shape[3] for array in arrays.values() if array.ndim == 4), default=0)
    outputs = {array.shape[1] for array in arrays.values() if array.ndim == 2}
    reordered = dict(arrays)
    for name, array in arrays.items():
        side = isqrt(array.shape[0] // channels) if array.ndim == 2 and channels else 0
        if side > 1 and side * side * channels == array.shape[0] and array.shape[0] not in outputs:
            sizes = (channels, side, side) if axes == _TO_KERAS else (side, side, channels)
            reordered[name] = array.reshape(*sizes, -1).transpose(axes).reshape(array.shape)
    return reordered


def _read_pickle(path):
    """Read a state dict by the loader that knows tensors only, and what the file says besides."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that are no state dict: the error says it
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            raise ValueError(
                f"it would run {code[1]}, so it was not loaded; save model.state_dict()"
            ) from error
        raise ValueError("it is truncated or holds more than tensors, so it was not loaded") from error
    state, left = content, []
    if isinstance(content, dict):
        name = next((name for name in _STATE_DICTS if isinstance(content.get(name), dict)), None)
        if name:
            state, left = content[name], sorted(str(key) for key in content.keys() - {name})
    if not (isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise ValueError("it is not a state dict of name -> tensor; save model.state_dict()")
    said = dict(getattr(state, "_metadata", {}).get(_FACTS, {}))
    return _from_state(state, {**said, "left": left}, "PyTorch state dict")


def _read_safetensors(path):
    """Read named arrays or a state dict, and what the metadata says."""
    with safetensors.safe_open(path, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    said = {key: metadata[key] for key in ("variant", "preprocessing") if key in metadata}
    said |= json.loads(metadata.get(_FACTS, "{}"))
    if any("/" in name for name in state):
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        return arrays, {**said, "left": [], "format": "named arrays, .safetensors"}
    return _from_state(state, {**said, "left": []}, "PyTorch state dict, .safetensors")


def _from_state(state, said, kind):
    """Name and lay out a state dict's tensors as arrays; half precision becomes float32, which is exact."""
    state = {key.removeprefix("module."): tensor for key, tensor in state.items()}  # of DataParallel
    table = torchvision(state)
    if table:
        said = {"preprocessing": "torch", **said}
    half = (torch.float16, torch.bfloat16)
    kept = {layer["name"] for layer in said.get("top", ())}
    arrays = {
        name: to_array(state[key].float() if state[key].dtype in half else state[key], "")
        for key, name in of_state(state, kept).items()
    }
    names = "torchvision's names" if table else "this project's names"
    return _reordered(arrays, _TO_KERAS), {**said, "format": f"{kind}, {names}"}


def _facts(arrays, said, path):
    """Infer which network the arrays are of."""
    first = {"resnet50": "conv1_conv/kernel", "vgg16": "block1_conv1/kernel"}
    backbone = next((name for name, kernel in first.items() if np.ndim(arrays.get(kernel)) == 4), None)
    if backbone is None:
        raise ValueError(
            f"{path} holds neither ResNet50's weights nor VGG16's; missing: {' or '.join(first.values())}; "
            f"unexpected: {', '.join(sorted(arrays)) or 'nothing'}"
        )
    biased = backbone == "vgg16" or "conv1_conv/bias" in arrays
    width = arrays[first[backbone]].shape[-1] / 64
    facts = {"variant": "v1" if biased else "v1.5", **said, "backbone": backbone, "width": width}
    facts["told"] = sorted({"variant", "epsilon", "decay"} & said.keys())
    facts.setdefault("preprocessing", "torch" if facts["variant"] == "v1.5" else "caffe")
    if facts["preprocessing"] not in _PREPROCESSING:
        raise ValueError(
            f"{path} says its preprocessing is {facts['preprocessing']!r}; it can be {', '.join(_PREPROCESSING)}"
        )
    return facts
