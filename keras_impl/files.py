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
_PREPROCESSING = ("caffe", "torch")
_FACTS = "facts"  # where what the names don't say is kept
OLD_EPSILON = 1e-3  # of Keras's ResNet50 as long as it had the old names
_POOLINGS = {
    "GlobalAveragePooling2D": "avg",
    "AveragePooling2D": "avg",  # until Keras 2.2 the last map was averaged so, at 224 pixels a single value
    "GlobalMaxPooling2D": "max",
    "Flatten": "flatten",
}
_STRUCTURE = (
    *("InputLayer", "ZeroPadding2D", "Conv2D", "MaxPooling2D", "Add", "Activation", "ReLU"),
    *("Convolution2D", "Merge"),  # of Keras 1
    *("Functional", "Sequential", "Model"),
)
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
        ``width`` and ``preprocessing`` (``caffe`` or ``torch``: what the images must have gone
        through; a ``.safetensors`` may say it, else it is ``torch`` for v1.5 and ``caffe`` for v1), ``format`` in
        words, ``left`` (what of the file is no weight), ``told`` (facts that the file itself names), and what
        else the file says: ``epsilon``, ``decay``,
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
        if start.startswith(b"\x89HDF"):
            arrays, said = _read_hdf5(path)
        elif start.startswith(b"PK"):
            arrays, said = _read_keras(path)
        elif start[8:] == b"{":
            arrays, said = _read_safetensors(path)
        else:
            raise ValueError("it is none of .weights.h5, .keras, .h5 and .safetensors")
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    except _DAMAGED as error:
        raise ValueError(
            f"{path} can't be read, it may be truncated: {' '.join(str(error).split())}"
        ) from error
    return arrays, _facts(arrays, said, path)


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
    """Read a ``.keras`` archive's weights and what its configuration says; nothing in it is built."""
    with zipfile.ZipFile(path) as archive:
        said = _configured(json.loads(archive.read("config.json")))
        arrays, weights_said = _read_hdf5(io.BytesIO(archive.read("model.weights.h5")))
    return arrays, {**said, "left": said["left"] + weights_said["left"], "format": "Keras .keras"}


def _read_hdf5(file):
    """Read either of Keras's two layouts: variables by number, or the legacy one by layer and name."""
    with h5py.File(file, "r") as root:
        datasets = {}
        root.visititems(  # follows no link, so that nothing outside the file is read
            lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None
        )
        if any(item.external or item.is_virtual for item in datasets.values()):
            raise ValueError("it refers to other files")
        legacy = "layer_names" in root.get("model_weights", root).attrs
        said = _legacy_said(root) if legacy else {"left": [], "format": "Keras .weights.h5"}
        if {"optimizer", "optimizer_weights"} & root.keys():
            said["left"] = [*said["left"], "optimizer"]
        found = [
            (name, item)
            for name, item in (_legacy if legacy else _numbered)(root, datasets)
            if np.issubdtype(item.dtype, np.floating)
        ]
        arrays = {name: item[()] for name, item in found}
    if len(arrays) < len(found):
        raise ValueError("two of its layers have the same name")
    return arrays, said


def _legacy_said(root):
    """What a legacy file says besides: its configuration, or that its names are those of Keras 1 and 2."""
    old = "bn_conv1" in root.get("model_weights", root)
    said = {"left": [], "format": f"Keras legacy .h5, {'old' if old else 'new'} names"}
    if "model_config" in root.attrs:
        return {**said, **_configured(json.loads(root.attrs["model_config"]))}
    return {**said, "epsilon": OLD_EPSILON, **_old_variant(root)} if old else said


def _old_variant(root):
    """Tell the structure of a ResNet50 with old names by the Keras that wrote the file, if it says which."""
    version = root.attrs.get("keras_version", b"")
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version.decode() if isinstance(version, bytes) else version)
    if numbers is None:  # Keras 1 named neither itself nor its weights by layer
        return {"variant": "v1-old-unpadded"} if "conv1_W:0" in root["conv1"] else {}
    release = tuple(map(int, numbers.groups()))
    if release >= (2, 2, 3):
        return {"variant": "v1-old"}
    return {"variant": "v1-old-same" if (2, 0, 7) <= release <= (2, 1, 4) else "v1-old-unpadded"}


def _configured(config):
    """Read facts off a model's configuration: what the weights alone can't say.

    Raises:
        ValueError: it holds code, or its BN layers differ.
    """
    if "Lambda" in _class_names(config):
        raise ValueError("it holds a Lambda layer, which is code; save the weights alone with save_weights")
    said, epsilons, top, dropout, left = {}, set(), [], 0.0, []
    same, padded = False, False
    for kind, name, layer in _layers(config):
        if kind in ("BatchNormalization", "BatchNorm"):
            epsilons.add((layer["epsilon"], layer.get("decay", layer["momentum"])))
        elif name in ("conv3_block1_1_conv", "res3a_branch2a"):
            said["variant"] = "v1" if _either(layer, "strides", "subsample")[0] == 2 else "v1.5"
        elif name in ("conv1_conv", "conv1"):
            same = _either(layer, "padding", "border_mode") == "same"
        elif name == "pool1_pad":
            padded = True
        elif kind in _POOLINGS:
            said.setdefault("pooling", _POOLINGS[kind])
        elif kind == "Dense":
            units, bias = _either(layer, "units", "output_dim"), _either(layer, "use_bias", "bias")
            dense = {"name": _OLD_LAYERS.get(name, name), "units": units, "bias": bias, "dropout": dropout}
            top.append({**dense, "activation": layer["activation"]})
            dropout = 0.0
        elif kind in ("Dropout", "CounterDropout"):
            dropout = layer["rate"]
        elif kind in ("Activation", "ReLU", "Softmax") and top:
            top[-1]["activation"] = layer.get("activation", kind.lower())
        elif kind not in _STRUCTURE:
            left.append(f"layer {name} ({kind})")
    if len(epsilons) > 1:
        found = ", ".join(f"{epsilon:g} and {decay:g}" for epsilon, decay in sorted(epsilons))
        raise ValueError(f"its BN layers have several epsilons and momentums: {found}")
    for epsilon, decay in epsilons:
        said |= {"epsilon": epsilon, "decay": decay}
    if said.get("variant") == "v1":
        if same or not padded:
            said["variant"] = "v1-old-same" if same else "v1-old-unpadded"
        elif said.get("epsilon") == OLD_EPSILON:
            said["variant"] = "v1-old"
    return {**said, "top": top, "left": left}


def _either(layer, name, of_keras_1):
    """An argument of a layer, which Keras 1 called otherwise."""
    return layer[name] if name in layer else layer[of_keras_1]


def _class_names(config):
    """Collect the ``class_name`` of everything in a configuration."""
    if isinstance(config, list):
        return {name for item in config for name in _class_names(item)}
    if isinstance(config, dict):
        return {str(config.get("class_name"))} | _class_names(list(config.values()))
    return set()


def _layers(config):
    """Yield class, name and arguments of every layer of a configuration, in order, those of inner models too."""
    arguments = config["config"]
    if "layers" not in arguments:
        yield config["class_name"], arguments.get("name"), arguments
    for layer in arguments.get("layers", ()):
        yield from _layers(layer)


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
    """Read named arrays, and what the metadata says."""
    with safetensors.safe_open(path, "numpy") as file:
        arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    said = {key: metadata[key] for key in ("variant", "preprocessing") if key in metadata}
    said |= json.loads(metadata.get(_FACTS, "{}"))
    return arrays, {**said, "left": [], "format": "named arrays, .safetensors"}


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
    v1 = "v1-old" if said.get("epsilon") == OLD_EPSILON else "v1"
    facts = {"variant": v1 if biased else "v1.5", **said, "backbone": backbone, "width": width}
    facts["told"] = sorted({"variant", "epsilon", "decay"} & said.keys())
    facts.setdefault("preprocessing", "torch" if facts["variant"] == "v1.5" else "caffe")
    if facts["preprocessing"] not in _PREPROCESSING:
        raise ValueError(
            f"{path} says its preprocessing is {facts['preprocessing']!r}; it can be {', '.join(_PREPROCESSING)}"
        )
    return facts
