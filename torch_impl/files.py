"""Files of weights: state dicts, read as named arrays without a model and without executing anything."""

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
import torch

from .weights import _is_torchvision, _names, _to_array

_DAMAGED = (OSError, KeyError, TypeError, RuntimeError, EOFError, safetensors.SafetensorError)
_PREPROCESSING = ("caffe", "torch", "pretext")


def read(path):
    """Read a file of weights without building a model and without executing anything in it.

    Args:
        path: a ``.pth`` of torchvision's or this project's models' state dict, or a ``.safetensors`` of named
            arrays. The content tells which.

    Returns:
        ``arrays``, classifier and head included, and ``facts`` about them: ``backbone``, ``variant``,
        ``width`` and ``preprocessing`` (``caffe``, ``torch`` or ``pretext``: what the images must have gone
        through; torchvision's names say ``torch``, a ``.safetensors`` may say it, else it is ``torch`` for
        v1.5 and ``caffe`` for v1).

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
            arrays, preprocessing = _read_pickle(path)
        elif start[8:] == b"{":
            arrays, preprocessing = _read_safetensors(path)
        else:
            raise ValueError("it is neither a state dict nor .safetensors")
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    except _DAMAGED as error:
        raise ValueError(
            f"{path} can't be read, it may be truncated: {' '.join(str(error).split())}"
        ) from error
    return arrays, _facts(arrays, preprocessing, path)


def _read_pickle(path):
    """Read a state dict by the loader that knows tensors only, and what its names say of the images."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that are no state dict: the error says it
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            raise ValueError(
                f"it would run {code[1]}, so it was not loaded; save model.state_dict()"
            ) from error
        raise ValueError("it is truncated or holds more than tensors, so it was not loaded") from error
    if not (isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise ValueError("it is not a state dict of name -> tensor; save model.state_dict()")
    arrays = {name: _to_array(state[key], key) for key, name in _names(state).items()}
    return arrays, "torch" if _is_torchvision(state) else None


def _read_safetensors(path):
    """Read named arrays, and what their metadata says the images must have gone through."""
    with safetensors.safe_open(path, "numpy") as file:
        arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        return arrays, (file.metadata() or {}).get("preprocessing")


def _facts(arrays, preprocessing, path):
    """Infer which network the arrays are of."""
    first = {"resnet50": "conv1_conv/kernel", "vgg16": "block1_conv1/kernel"}
    backbone = next((name for name, kernel in first.items() if np.ndim(arrays.get(kernel)) == 4), None)
    if backbone is None:
        raise ValueError(
            f"{path} holds neither ResNet50's weights nor VGG16's; missing: {' or '.join(first.values())}; "
            f"unexpected: {', '.join(sorted(arrays)) or 'nothing'}"
        )
    variant = "v1.5" if backbone == "resnet50" and "conv1_conv/bias" not in arrays else "v1"
    preprocessing = preprocessing or ("torch" if variant == "v1.5" else "caffe")
    if preprocessing not in _PREPROCESSING:
        raise ValueError(
            f"{path} says its preprocessing is {preprocessing!r}; it can be {', '.join(_PREPROCESSING)}"
        )
    width = arrays[first[backbone]].shape[-1] / 64
    return {"backbone": backbone, "variant": variant, "width": width, "preprocessing": preprocessing}
