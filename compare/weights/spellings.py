"""Whose names a file's arrays have, and the neutral ones that they mean: PyTorch's spellings and Keras's old ones.

Neutral names and layouts are Keras's: ``conv1_conv/kernel`` is ``(height, width, in, out)``, a dense kernel
``(in, out)``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from compare.weights.errors import UnreadableError

Arrays = dict[str, np.ndarray]

STAGES = {2: 3, 3: 4, 4: 6, 5: 3}  # of a ResNet50 -> blocks
CONVS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}  # block of a VGG16 -> convolutions
BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
WEIGHTS = {"weight": "kernel", "bias": "bias"}


class Names(Enum):
    """Whose names a file's arrays have."""

    NEUTRAL = "Keras's names"
    OLD = "names of Keras 1 and 2"
    PROJECT = "this project's names"
    TORCHVISION = "torchvision's names"
    CHILDREN = "the numbers of Sequential(*model.children())"
    HUGGING_FACE = "Hugging Face's names"
    TIMM = "timm's names"

    @property
    def torch(self) -> bool:
        """Whether they are a PyTorch model's."""
        return self not in (Names.NEUTRAL, Names.OLD)


def _blocks() -> list[tuple[int, int]]:
    return [(stage, block) for stage, blocks in STAGES.items() for block in range(1, blocks + 1)]


def _old_layers() -> dict[str, str]:
    """Map the layer names of Keras 1 and 2's ResNet50 to today's."""
    layers = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}
    for stage, block in _blocks():
        for n, branch in enumerate(("1", "2a", "2b", "2c")):
            for old, new in (("res", "conv"), ("bn", "bn")):
                layer = f"{old}{stage}{'abcdef'[block - 1]}_branch{branch}"
                layers[layer] = f"conv{stage}_block{block}_{n}_{new}"
    return layers


OLD_LAYERS = _old_layers()


def _torchvision_resnet50() -> dict[str, str]:
    """Map the names of torchvision's modules to layers."""
    layers = {"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"}
    for stage, block in _blocks():
        module, name = f"layer{stage - 1}.{block - 1}", f"conv{stage}_block{block}"
        layers |= {f"{module}.downsample.0": f"{name}_0_conv", f"{module}.downsample.1": f"{name}_0_bn"}
        for n in (1, 2, 3):
            layers |= {f"{module}.conv{n}": f"{name}_{n}_conv", f"{module}.bn{n}": f"{name}_{n}_bn"}
    return layers


def _torchvision_vgg16() -> dict[str, str]:
    layers: dict[str, str] = {}
    index = 0
    for block, convs in CONVS.items():
        layers |= {f"features.{index + 2 * n}": f"block{block}_conv{n + 1}" for n in range(convs)}
        # a relu follows each convolution, a pooling the block
        index += 2 * convs + 1
    return layers | {"classifier.0": "fc1", "classifier.3": "fc2", "classifier.6": "predictions"}


RESNET50, VGG16 = _torchvision_resnet50(), _torchvision_vgg16()


def _hugging_face(layer: str) -> str:
    """The module that a layer of a ResNet50 is in Hugging Face's ResNetModel."""
    if not layer.startswith("conv"):
        return "classifier.1"
    name, _, kind = layer.rpartition("_")
    kind = "convolution" if kind == "conv" else "normalization"
    if name == "conv1":
        return f"embedder.embedder.{kind}"
    stage, block, n = name.removeprefix("conv").replace("block", "").split("_")
    part = "shortcut" if n == "0" else f"layer.{int(n) - 1}"
    return f"encoder.stages.{int(stage) - 2}.layers.{int(block) - 1}.{part}.{kind}"


def _children(module: str, children: tuple[str, ...]) -> str:
    first, _, rest = module.partition(".")
    return f"{children.index(first)}.{rest}".rstrip(".")


_RESNET_CHILDREN = (
    "conv1",
    "bn1",
    "relu",
    "maxpool",
    "layer1",
    "layer2",
    "layer3",
    "layer4",
    "avgpool",
    "fc",
)
_VGG_CHILDREN = ("features", "avgpool", "classifier")


@dataclass(frozen=True)
class Spelling:
    """One way that state dicts name a backbone's modules.

    Attributes:
        modules: module -> layer.
        sign: keys that only such a state dict has.
    """

    names: Names
    backbone: str
    modules: dict[str, str]
    sign: tuple[str, ...]

    @property
    def inner(self) -> set[str]:
        """The modules of the backbone, and what they lie in."""
        tops = ("fc1", "fc2", "predictions")
        return {way for module, layer in self.modules.items() if layer not in tops for way in _ways(module)}


def _spellings() -> tuple[Spelling, ...]:
    project = {
        f"conv{s}_block{b}.{kind}{n}": f"conv{s}_block{b}_{n}_{kind}"
        for s, b in _blocks()
        for n in range(4)
        for kind in ("conv", "bn")
    } | {"conv1_conv": "conv1_conv", "conv1_bn": "conv1_bn"}
    timm = {**VGG16, "pre_logits.fc1": "fc1", "pre_logits.fc2": "fc2", "head.fc": "predictions"}
    timm = {module: layer for module, layer in timm.items() if not module.startswith("classifier")}
    convs = [layer for layer in VGG16.values() if layer.startswith("block")]
    return (
        Spelling(Names.PROJECT, "resnet50", project, ("conv1_conv.weight", "conv2_block1.conv1.weight")),
        Spelling(Names.PROJECT, "vgg16", {layer: layer for layer in convs}, ("block1_conv1.weight",)),
        Spelling(Names.TORCHVISION, "resnet50", RESNET50, ("conv1.weight", "layer1.0.conv1.weight")),
        Spelling(
            Names.HUGGING_FACE,
            "resnet50",
            {_hugging_face(layer): layer for layer in RESNET50.values()},
            ("embedder.embedder.convolution.weight",),
        ),
        Spelling(
            Names.CHILDREN,
            "resnet50",
            {_children(module, _RESNET_CHILDREN): layer for module, layer in RESNET50.items()},
            ("0.weight", "1.running_mean", "4.0.conv1.weight"),
        ),
        Spelling(Names.TIMM, "vgg16", timm, ("features.0.weight", "pre_logits.fc1.weight")),
        Spelling(Names.TORCHVISION, "vgg16", VGG16, ("features.0.weight", "features.28.weight")),
        Spelling(
            Names.CHILDREN,
            "vgg16",
            {_children(module, _VGG_CHILDREN): layer for module, layer in VGG16.items()},
            ("0.0.weight", "0.28.weight"),
        ),
        Spelling(
            Names.CHILDREN,
            "vgg16",
            {m.removeprefix("features."): layer for m, layer in VGG16.items() if layer in convs},
            ("0.weight", "28.weight"),
        ),
    )


SPELLINGS = _spellings()


# modules that hold another and are no part of a network: DataParallel, torch.compile, FSDP, activation checkpointing
_AROUND = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# what a training module keeps beside its network
_BESIDE = re.compile(r"(^|[._])(loss|losses|criterion|criteria|metrics?)([._]|$)")
# what profilers count in every module
_COUNTS = ("total_ops", "total_params")


def plain_keys(state: Arrays) -> tuple[dict[str, str], list[str]]:
    """Take out of a file's keys what was put around modules, and what belongs to no network.

    Returns:
        key -> key in the file, and those of losses and metrics. A profiler's counts are in neither.
    """
    if any("/" in key for key in state):
        # Keras's names, behind which TensorFlow puts the number of an operation's output
        return {key.removesuffix(":0"): key for key in state}, []
    losses = [key for key in state if _BESIDE.search(key.rpartition(".")[0]) and _is_loose(state, key)]
    kept = [key for key in state if key not in losses and key.rpartition(".")[2] not in _COUNTS]
    found = {".".join(part for part in key.split(".") if part not in _AROUND): key for key in kept}
    # two that would have one name are somebody's own names
    return (found, losses) if len(found) == len(kept) else ({key: key for key in kept}, losses)


def _is_loose(state: Arrays, key: str) -> bool:
    """Whether the module of an array is no layer: it has neither a kernel nor moving statistics."""
    module = key.rpartition(".")[0]
    return f"{module}.running_mean" not in state and state.get(f"{module}.weight", state[key]).ndim < 2


@dataclass(frozen=True)
class Spelled:
    """A state dict whose names are known.

    Attributes:
        prefix: what comes before the backbone's names.
        keys: neutral name -> key of the state dict, in its order.
    """

    spelling: Spelling
    prefix: str
    keys: dict[str, str]

    def within(self, key: str) -> bool:
        """Whether an array of the state dict lies in a module of the backbone, and not beside it."""
        module = key.removeprefix(self.prefix).rpartition(".")[0]
        return key.startswith(self.prefix) and not _ways(module).isdisjoint(self.spelling.inner)


def _ways(module: str) -> set[str]:
    """A module and all that it lies in."""
    parts = module.split(".") if module else []
    return {".".join(parts[:length]) for length in range(1, len(parts) + 1)}


def spelled(state: Arrays, own_layers: tuple[str, ...] = ()) -> list[Spelled]:
    """Find the networks of known names in a state dict; several where it holds several.

    Args:
        own_layers: modules that are layers themselves, whatever the tables say.
    """
    found: dict[str, Spelled] = {}
    for spelling in SPELLINGS:
        for prefix in _prefixes(state, spelling):
            if not any(prefix.startswith(other) or other.startswith(prefix) for other in found):
                found[prefix] = Spelled(spelling, prefix, _neutral(state, spelling, prefix, own_layers))
    return list(found.values())


def is_known(state: Any) -> bool:
    """Whether a state dict has known names, of a backbone somewhere in it."""
    return any(_prefixes(state, spelling) for spelling in SPELLINGS)


def _prefixes(state: Any, spelling: Spelling) -> list[str]:
    sign = spelling.sign[0]
    ends = [key.removesuffix(sign) for key in state if key.endswith(sign)]
    ends = [end for end in ends if not end or end.endswith(".")]
    return [
        end
        for end in ends
        if len(state[end + sign].shape) == 4 and all(end + key in state for key in spelling.sign)
    ]


def _neutral(state: Arrays, spelling: Spelling, prefix: str, own_layers: tuple[str, ...]) -> dict[str, str]:
    """Name all arrays: the backbone's by the table, those of the head by their module."""
    outer = prefix.removesuffix("backbone.") if spelling.names is Names.PROJECT else prefix
    if spelling.names is Names.HUGGING_FACE:
        outer = prefix.removesuffix("resnet.")
    names: dict[str, str] = {}
    for key in state:
        if not np.issubdtype(state[key].dtype, np.inexact):
            continue
        own = key.removeprefix(prefix) if key.startswith(prefix) else key.removeprefix(outer)
        module, _, kind = own.rpartition(".")
        short = module.removeprefix("head.") if spelling.names is Names.PROJECT else module
        layer = short if short in own_layers else spelling.modules.get(module, short)
        name = f"{layer}/{_kind(state, key, kind)}"
        if name in names:
            raise UnreadableError(f"can't be read: {names[name]} and {key} have one name, {name}")
        names[name] = key
    return names


def _kind(state: Arrays, key: str, kind: str) -> str:
    module = key.rpartition(".")[0]
    weight = state.get(f"{module}.weight", state[key])
    batch_norm = f"{module}.running_mean" in state or weight.ndim == 1
    return (BATCH_NORM if batch_norm else WEIGHTS).get(kind, kind)


def to_neutral(array: np.ndarray, dense: bool = False) -> np.ndarray:
    """Copy an array from PyTorch's layout to Keras's.

    Args:
        dense: of a dense layer that the file keeps as a convolution over the whole map.
    """
    if array.ndim == 4:  # (out, in, height, width)
        array = array.transpose(2, 3, 1, 0)
        array = array.reshape(-1, array.shape[-1]) if dense else array
    elif array.ndim == 2:
        array = array.T
    return np.array(array, order="C")


def rows_to_keras(kernel: np.ndarray, channels: int, height: int, width: int) -> np.ndarray:
    """Reorder the rows of a dense kernel that sees a flattened map: PyTorch has (C, H, W), Keras (H, W, C)."""
    rows = kernel.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)
    return np.ascontiguousarray(rows).reshape(kernel.shape)


def written(layout: str, backbone: str, layers: list[str], top: list[str]) -> dict[str, str]:
    """The names that layers have in a file of a layout: neutral name -> name there, where it is another.

    Args:
        layout: ``torchvision``, ``project`` (of PyTorch), ``applications-old``; any other has neutral names.
        layers: all that have arrays; ``top`` those of them that are dense.
    """
    if layout == "applications-old":
        return {layer: old for old, layer in OLD_LAYERS.items()}
    if layout == "torchvision":
        return {layer: module for module, layer in (RESNET50 if backbone == "resnet50" else VGG16).items()}
    if layout != "project":
        return {}
    modules = {layer: module for module, layer in SPELLINGS[0].modules.items()}
    parts = {layer: ("head." if layer in top else "backbone.") if top else "" for layer in layers}
    return {layer: parts[layer] + modules.get(layer, layer) for layer in layers}
