"""Files of weights: Keras's formats, read as named arrays without a model and without executing anything."""

import io
import json
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import safetensors
import safetensors.numpy

_DAMAGED = (OSError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, safetensors.SafetensorError)
_PREPROCESSING = ("caffe", "torch", "pretext")
_KINDS = {
    **{kind: kind for kind in ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")},
    **{"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"},
}


def read(path):
    """Read a file of weights without building a model and without executing anything in it.

    Args:
        path: a ``.weights.h5`` or ``.keras`` of Keras 3.6 or newer, a legacy ``.h5`` (of keras.applications,
            with old layer names too), or a ``.safetensors`` of named arrays. The content tells which.

    Returns:
        ``arrays``, classifier and head included, and ``facts`` about them: ``backbone``, ``variant``,
        ``width`` and ``preprocessing`` (``caffe``, ``torch`` or ``pretext``: what the images must have gone
        through; a ``.safetensors`` may say it, else it is ``torch`` for v1.5 and ``caffe`` for v1).

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
        if start.startswith(b"\x89HDF"):
            arrays, preprocessing = _read_hdf5(path), None
        elif start.startswith(b"PK"):
            arrays, preprocessing = _read_keras(path), None
        elif start[8:] == b"{":
            arrays, preprocessing = _read_safetensors(path)
        else:
            raise ValueError("it is none of .weights.h5, .keras, .h5 and .safetensors")
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    except _DAMAGED as error:
        raise ValueError(
            f"{path} can't be read, it may be truncated: {' '.join(str(error).split())}"
        ) from error
    return arrays, _facts(arrays, preprocessing, path)


def _old_layers():
    """Map the layer names of Keras 1 and 2's ResNet50 to today's."""
    layers = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}
    for stage, blocks in {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}.items():
        for block, letter in enumerate(blocks, 1):
            for n, branch in enumerate(("1", "2a", "2b", "2c")):
                layers |= {
                    f"res{stage}{letter}_branch{branch}": f"conv{stage}_block{block}_{n}_conv",
                    f"bn{stage}{letter}_branch{branch}": f"conv{stage}_block{block}_{n}_bn",
                }
    return layers


_OLD_LAYERS = _old_layers()


def _read_keras(path):
    """Read a ``.keras`` archive's weights; nothing in its configuration is built."""
    with zipfile.ZipFile(path) as archive:
        if "Lambda" in _class_names(json.loads(archive.read("config.json"))):
            raise ValueError(
                "it holds a Lambda layer, which is code; save the weights alone with save_weights"
            )
        return _read_hdf5(io.BytesIO(archive.read("model.weights.h5")))


def _class_names(config):
    """Collect the ``class_name`` of everything in a configuration."""
    if isinstance(config, list):
        return {name for item in config for name in _class_names(item)}
    if isinstance(config, dict):
        return {str(config.get("class_name"))} | _class_names(list(config.values()))
    return set()


def _read_hdf5(file):
    """Read either of Keras's two layouts: variables by number, or the legacy one by layer and name."""
    with h5py.File(file, "r") as root:
        datasets = {}
        root.visititems(  # follows no link, so that nothing outside the file is read
            lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None
        )
        if any(item.external or item.is_virtual for item in datasets.values()):
            raise ValueError("it refers to other files")
        named = _legacy if "layer_names" in root.get("model_weights", root).attrs else _numbered
        found = [
            (name, item) for name, item in named(root, datasets) if np.issubdtype(item.dtype, np.floating)
        ]
        arrays = {name: item[()] for name, item in found}
    if len(arrays) < len(found):
        raise ValueError("two of its layers have the same name")
    return arrays


def _numbered(root, datasets):
    """Name the variables ``.../vars/0``, ``1``, ...: their group holds the layer's name."""
    groups: dict[str, dict[int, h5py.Dataset]] = {}
    for path in datasets:
        group, _, number = path.rpartition("/")
        if group.endswith("vars") and not group.startswith("optimizer"):
            groups.setdefault(group, {})[int(number)] = datasets[path]
    for group, variables in groups.items():
        if "name" not in root[group].attrs:
            raise ValueError(
                "it is of a Keras before 3.6, which kept no layer names; load and save it in a newer one"
            )
        batch_norm = len(variables) == 4 and all(item.ndim == 1 for item in variables.values())
        kinds = ("gamma", "beta", "moving_mean", "moving_variance") if batch_norm else ("kernel", "bias")
        for number, item in variables.items():
            yield f"{root[group].attrs['name']}/{dict(enumerate(kinds)).get(number, number)}", item


def _legacy(root, datasets):
    """Name the weights that a group lists as ``conv1_conv/kernel:0`` or, of old, ``res2a_branch2a_W:0``."""
    root = root.get("model_weights", root)
    for layer, group in root.items():
        names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs["weight_names"]]
        nested = len({name.rpartition("/")[0] for name in names}) > 1  # the group is a model
        for name in names:
            kind = re.search(rf"[/_]({'|'.join(_KINDS)})(_\d+)?(:0)?$", name)
            owner = name.split("/")[-2] if nested else layer
            item = datasets[f"{group.name}/{name}".lstrip("/")]
            yield f"{_OLD_LAYERS.get(owner, owner)}/{_KINDS[kind[1]] if kind else name}", item


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
