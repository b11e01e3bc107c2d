"""What a file of weights holds: one record, and how it is completed when names are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Literal

from compare.spec import some
from compare.weights.network import (
    Arrays,
    Chain,
    Told,
    backbone_table,
    chain,
    channels_of,
    kernels_of,
    map_of,
    square,
)
from compare.weights.recognise import recognise
from compare.weights.spellings import Names, rows_to_keras

# the networks that can be moved, as `recognise` calls them
MOVED = ("a ResNet50", "a VGG16")


class Format(Enum):
    """The format of a file."""

    KERAS = "Keras .keras"
    WEIGHTS_H5 = "Keras .weights.h5"
    LEGACY_H5 = "Keras legacy .h5"
    STATE_DICT = "PyTorch state dict"
    SAFETENSORS = ".safetensors"
    NPZ = ".npz"


class Beside(Enum):
    """What lies in a file that is no weight."""

    OPTIMIZER = "state of an optimizer; training goes on from a fresh one"
    IDLE = "does nothing when the model is evaluated"
    NETWORK = "another network, or the same at another time; saved alone, it can be moved, too"
    LOSS = "of a loss or a metric, which is no part of the network"
    PRECISION = "what it computed in; what is moved computes in float32"
    OTHER = "which is no weight"


@dataclass(frozen=True)
class Source:
    """A file that was read.

    Attributes:
        arrays: by neutral name, in the order of the model where the file keeps one; of a network that isn't
            known, by the names that the file has.
        told: what the file says of its network.
        backbone: ``resnet50`` or ``vgg16``; empty for another network, which ``other`` then names.
        chain: the dense layers in their order.
        beside: what of the file is no weight, by name.
        obstacles: what of the function can't be moved, a line each.
        inside: what of the backbone is another function than a plain one's, a line each.
        front: layers before the backbone that change what it sees.
        whole: whether the file holds the whole model, and Keras can load it as one.
        version: of the Keras that wrote it, if it says so.
        where: keys that lead to the state dict in a checkpoint.
        keys: neutral name -> key in the state dict, of a PyTorch file.
        prefix: what its keys have before the names of the model.
    """

    path: Path
    format: Format
    names: Names
    arrays: Arrays
    told: Told
    backbone: str = ""
    other: str = ""
    chain: Chain = field(default_factory=Chain)
    beside: tuple[tuple[str, Beside], ...] = ()
    obstacles: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    front: tuple[str, ...] = ()
    whole: bool = False
    version: str = ""
    where: tuple[str | int, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    prefix: str = ""

    @property
    def framework(self) -> Literal["keras", "torch"]:
        """Whose model it is."""
        return "torch" if self.names.torch else "keras"

    @property
    def width(self) -> float:
        """Factor on the backbone's channels."""
        first = "conv1_conv/kernel" if self.backbone == "resnet50" else "block1_conv1/kernel"
        return self.arrays[first].shape[-1] / 64

    def describe(self) -> str:
        """Format and names in words."""
        return f"{self.format.value}, {self.names.value}"

    def backbone_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the backbone's arrays."""
        return backbone_table(self.backbone, self.arrays)

    def backbone_arrays(self) -> Arrays:
        """The arrays of the backbone alone."""
        table = self.backbone_shapes()
        return {name: array for name, array in self.arrays.items() if name in table}

    def head(self) -> list[str]:
        """The layers behind the backbone that have arrays."""
        table, front = self.backbone_shapes(), set(self.front)
        names = (name for name in self.arrays if name not in table and self.keys.get(name) not in front)
        return list(dict.fromkeys(name.rpartition("/")[0] for name in names))


def _of_file(source: Source, layer: str) -> str:
    """What a layer is called in the file: a person looks for that name, and not for the neutral one."""
    key = next((key for name, key in source.keys.items() if name.startswith(f"{layer}/")), f"{layer}.")
    # what lies in the model itself is in no layer
    return key.rpartition(".")[0] or key


def completed(source: Source, ordered: bool) -> Source:
    """Say which network it is, and bring the dense layers in order; a PyTorch flatten's rows into Keras's.

    Args:
        ordered: whether the arrays stand in the order of the model.
    """
    arrays = source.arrays
    first = {"resnet50": "conv1_conv/kernel", "vgg16": "block1_conv1/kernel"}
    found = (name for name, kernel in first.items() if kernel in arrays and arrays[kernel].ndim == 4)
    backbone = next(found, "")
    other = recognise(arrays)
    if not backbone or other not in (*MOVED, ""):
        return replace(source, other=other)
    source = replace(source, backbone=backbone)
    table = source.backbone_shapes()
    rest = {name: array for name, array in arrays.items() if name not in table}
    source = _without_others(source, rest)
    channels = channels_of(backbone, source.width)
    try:
        order = chain(
            kernels_of(rest), channels, source.told.top, ordered, lambda layer: _of_file(source, layer)
        )
    except ValueError as error:
        return replace(source, obstacles=(*source.obstacles, str(error)))
    source = replace(source, chain=order)
    if not source.names.torch and not source.whole:
        source = _with_misfits(source, rest, channels)
    return _with_map(source, channels) if order.rows > 1 else source


def _without_others(source: Source, rest: Arrays) -> Source:
    """Note the layers that have arrays and aren't dense, unless the configuration has named them already."""
    loose = dict.fromkeys(name.rpartition("/")[0] for name in rest if not _of_dense(name, rest))
    unsaid = [layer for layer in loose if not any(f" {layer} " in line for line in source.obstacles)]
    if not unsaid:
        return source
    what = ("layers", "are no dense layers") if len(unsaid) > 1 else ("layer", "is no dense layer")
    line = f"{what[0]} {some([_of_file(source, layer) for layer in unsaid])} {what[1]} and can't be moved"
    return replace(source, obstacles=(*source.obstacles, line))


def _with_misfits(source: Source, rest: Arrays, channels: int) -> Source:
    """Note normalisations as wide as layers of the backbone alone, which lie within it: weights don't say where."""
    inner = {array.shape[-1] for name, array in source.backbone_arrays().items() if name.endswith("/kernel")}
    inner -= {channels, *(array.shape[-1] for array in kernels_of(rest).values())}
    gammas = {name.rpartition("/")[0]: array.size for name, array in rest.items() if name.endswith("/gamma")}
    odd = [layer for layer, size in gammas.items() if size in inner]
    line = f"layers {some(odd)} are as wide as layers of the backbone alone, and a plain one hasn't them"
    return replace(source, inside=(line,)) if odd else source


def _with_map(source: Source, channels: int) -> Source:
    """Settle height and width of the map that is flattened, and bring its rows into Keras's order."""
    told, order, arrays = source.told, source.chain, source.arrays
    found = told.map or (
        map_of(source.backbone, told.variant or "", told.input) if told.input else square(order.rows)
    )
    if not found or found[0] * found[1] != order.rows:
        line = (
            f"layer {_of_file(source, order.names[0])} sees a flattened map of {order.rows} places, whose height"
            " and width the file doesn't say"
        )
        return replace(source, obstacles=(*source.obstacles, line))
    source = replace(source, told=replace(told, map=found))
    # timm keeps VGG's first dense layer as a convolution, whose rows are in order
    if not source.names.torch or (source.names is Names.TIMM and order.names[0] == "fc1"):
        return source
    kernel = f"{order.names[0]}/kernel"
    return replace(source, arrays={**arrays, kernel: rows_to_keras(arrays[kernel], channels, *found)})


def _of_dense(name: str, rest: Arrays) -> bool:
    layer, _, kind = name.rpartition("/")
    kernel = rest.get(f"{layer}/kernel")
    return kernel is not None and kernel.ndim == 2 and kind in ("kernel", "bias")
