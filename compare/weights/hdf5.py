"""Keras's HDF5 files as arrays by layer and kind, in the order of the model's layers. Nothing in them is executed.

Three layouts: legacy (weights by layer and name; to Keras 2, and ``.h5`` to this day), numbered with the layers' names
beside (``.weights.h5`` and ``.keras`` since Keras 3.6), and numbered without names (tf-keras, and Keras before 3.6).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from compare.weights.errors import UnreadableError
from compare.weights.pickles import BFLOAT16, widened

Arrays = dict[str, np.ndarray]

BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_KINDS = {
    **{kind: kind for kind in ("kernel", "bias", *BATCH_NORM)},
    **{"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"},
}
# how much larger than the file its arrays may be; Keras doesn't compress, and real weights hardly shrink
COMPRESSION = 50
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclass
class Hdf5:
    """What an HDF5 file of Keras holds.

    Attributes:
        arrays: ``layer/kind`` -> array, under the names that the file has, in the order of the layers.
        legacy: whether it is of the legacy layout.
        optimizer: whether it holds the state of an optimizer, too.
        config: the model's configuration, if the file holds one.
        version: of the Keras that wrote it, empty where the file doesn't say.
        layers: their names in order, of the legacy layout.
        oldest: whether its weights are named as in Keras 1.
    """

    arrays: Arrays
    legacy: bool
    optimizer: bool
    config: Any = None
    version: str = ""
    layers: list[str] = field(default_factory=list)
    oldest: bool = False


def read(file: Path | BinaryIO, size: int, names: dict[str, str] | None = None) -> Hdf5:
    """Read a file, or one within an archive.

    Args:
        size: of it, in bytes.
        names: path of a group (``layers/conv2d_1``) -> name of the layer, for files that have no names.

    Raises:
        UnreadableError: it refers to other files, or isn't Keras's.
    """
    with h5py.File(file, "r") as root:
        datasets: dict[str, h5py.Dataset] = {}
        root.visititems(  # follows no link, so that nothing outside the file is read
            lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None
        )
        if any(item.external or item.is_virtual for item in datasets.values()):
            raise UnreadableError("refers to other files")
        if sum(item.size * item.dtype.itemsize for item in datasets.values()) > COMPRESSION * size + 2**20:
            raise UnreadableError(
                "can't be read, it may be damaged: its arrays are said to be larger than the file"
            )
        place = root.get("model_weights", root)
        legacy = "layer_names" in place.attrs or "layer_names0" in place.attrs
        if not legacy and not any(path.rpartition("/")[0].endswith("vars") for path in datasets):
            inside = ", ".join(list(root)[:3]) or "nothing"
            raise UnreadableError(f"is an HDF5 file of {inside}, but not one that Keras wrote")
        named = _legacy(place, datasets) if legacy else _numbered(root, datasets, names or {})
        found = [
            (name, item)
            for name, item in named
            if _is_bfloat16(item) or np.issubdtype(item.dtype, np.floating)
        ]
        arrays = {name: _numbers(item) for name, item in found}
        if len(arrays) < len(found):
            raise UnreadableError("can't be read: two of its layers have the same name")
        return Hdf5(
            arrays,
            legacy,
            optimizer=bool({"optimizer", "optimizer_weights"} & root.keys()),
            config=json.loads(root.attrs["model_config"]) if "model_config" in root.attrs else None,
            version=_text(place.attrs.get("keras_version", root.attrs.get("keras_version", ""))),
            layers=listed(place.attrs, "layer_names") if legacy else [],
            oldest=legacy and "conv1" in place and "conv1_W:0" in place["conv1"],
        )


def _is_bfloat16(item: h5py.Dataset) -> bool:
    """Whether numbers are of the type that HDF5 hasn't, and Keras writes as two bytes each."""
    return item.dtype.itemsize == 2 and item.attrs.get("dtype") == BFLOAT16


def _numbers(item: h5py.Dataset) -> np.ndarray:
    array = item[()]
    return widened(array.view(np.uint16), BFLOAT16) if _is_bfloat16(item) else array


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def listed(attributes: Any, name: str) -> list[str]:
    """A list of names, which Keras spreads over several attributes where it is long."""
    if name in attributes:
        return [_text(value) for value in attributes[name]]
    parts: list[str] = []
    while f"{name}{len(parts)}" in attributes:
        parts.append(f"{name}{len(parts)}")
    if not parts:
        raise KeyError(name)
    return [_text(value) for part in parts for value in attributes[part]]


def _legacy(place: Any, datasets: dict[str, h5py.Dataset]) -> Iterator[tuple[str, h5py.Dataset]]:
    """Name the weights that a group lists as ``conv1_conv/kernel:0`` or, of old, ``res2a_branch2a_W:0``.

    The layers come in the order of the file's list, which is that of the model and not that of their names.
    """
    for layer in listed(place.attrs, "layer_names"):
        group = place[layer]
        names = listed(group.attrs, "weight_names")
        owners = [name.rpartition("/")[0] for name in names]
        nested = len(set(owners)) > 1  # the group is a model
        for name in names:
            kind = re.search(rf"[/_]({'|'.join(_KINDS)})(_\d+)?(:0)?$", name)
            owner = name.split("/")[-2] if nested else layer
            item = datasets[f"{group.name}/{name}".lstrip("/")]
            yield f"{owner}/{_KINDS[kind[1]] if kind else name}", item


def _numbered(
    root: Any, datasets: dict[str, h5py.Dataset], names: dict[str, str]
) -> Iterator[tuple[str, h5py.Dataset]]:
    """Name the variables ``.../vars/0``, ``1``, ...: their group holds the layer's name, or it is known otherwise."""
    groups: dict[str, dict[int, h5py.Dataset]] = {}
    for path, item in datasets.items():
        group, _, last = path.rpartition("/")
        if group.endswith("vars") and not group.startswith("optimizer"):
            groups.setdefault(group, {})[int(last)] = item
    for group in sorted(groups, key=natural):
        variables = dict(sorted(groups[group].items()))
        path = group.removesuffix("/vars")
        if "name" in root[group].attrs:
            name = _text(root[group].attrs["name"])
        else:
            name = names.get(_plain(path), path.removeprefix("layers/"))
        for number, item in variables.items():
            yield f"{name}/{_kind(list(variables.values()), number)}", item


def _kind(variables: list[h5py.Dataset], number: int) -> str:
    """Name a variable by its number and its layer's shapes."""
    flat = all(item.ndim == 1 for item in variables)
    if flat and len(variables) == 4:
        return BATCH_NORM[number]
    kinds = ("kernel", "bias") if variables[0].ndim > 1 and len(variables) <= 2 else ()
    return dict(enumerate(kinds)).get(number, str(number))


def _plain(path: str) -> str:
    """The path of a group as today's Keras has it."""
    return "/".join("layers" if part in CONTAINERS else part for part in path.split("/"))


def unnamed(arrays: Arrays) -> Arrays:
    """Give the layers of a ResNet50 or VGG16 that only have numbers their names, by their order in the model.

    The order is that of ``model.layers`` in keras.applications' model: in a block with a convolution in the
    shortcut, that one comes between the block's second and its third.
    """
    convs, norms = (list(dict.fromkeys(_owners(arrays, word))) for word in ("conv2d", "batch_normalization"))
    if (len(convs), len(norms)) == (53, 53):
        layers = _resnet50_layers()
        table = dict(zip(convs, [f"{layer}_conv" for layer in layers], strict=True))
        table |= dict(zip(norms, [f"{layer}_bn" for layer in layers], strict=True))
    elif (len(convs), len(norms)) == (13, 0):
        blocks = [(block, conv) for block, n in enumerate((2, 2, 3, 3, 3), 1) for conv in range(1, n + 1)]
        table = dict(zip(convs, [f"block{b}_conv{c}" for b, c in blocks], strict=True))
        dense = list(dict.fromkeys(_owners(arrays, "dense")))
        table |= dict(zip(dense, ("fc1", "fc2", "predictions"), strict=True)) if len(dense) == 3 else {}
    else:
        return arrays
    renamed = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition("/")
        renamed[f"{table.get(layer, layer.rpartition('/')[2])}/{kind}"] = array
    return renamed


def _owners(arrays: Arrays, word: str) -> Iterator[str]:
    for name in arrays:
        layer = name.rpartition("/")[0]
        if re.fullmatch(rf"{word}(_\d+)?", layer.rpartition("/")[2]):
            yield layer


def _resnet50_layers() -> list[str]:
    layers = ["conv1"]
    for stage, blocks in {2: 3, 3: 4, 4: 6, 5: 3}.items():
        for block in range(1, blocks + 1):
            numbers = (1, 2, 0, 3) if block == 1 else (1, 2, 3)
            layers += [f"conv{stage}_block{block}_{number}" for number in numbers]
    return layers


def natural(name: str) -> list[tuple[int, str]]:
    """Sort names such that ``dense_9`` comes before ``dense_10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
