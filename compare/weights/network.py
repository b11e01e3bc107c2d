"""What network a file's arrays are of: what the file says, and what has to be assumed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise, permutations
from math import isqrt

import numpy as np

import keras_impl.weights
from compare.spec import BACKBONES, DECAY, EPSILONS, InputError
from compare.weights.shapes import shapes

Arrays = dict[str, np.ndarray]

ACTIVATIONS = ("linear", "softmax", "relu", "sigmoid", "tanh")  # that both frameworks' networks know
PROJECT_HEAD = ("head_dense_1", "head_dense_2", "head_output")


@dataclass(frozen=True)
class Network:
    """A network as `networks.build` of either framework takes it.

    Attributes:
        epsilon, decay: of batch normalisation.
        bias: whether the convolutions have one.
        pooling: ``avg``, ``max`` or ``flatten``; what it is without dense layers changes no weight.
        side: of the map that is flattened, 0 if none is.
        top: the dense layers in order: ``name``, ``units``, ``bias``, ``activation`` and ``dropout`` before it.
    """

    backbone: str
    variant: str
    width: float
    preprocessing: str
    epsilon: float
    decay: float
    bias: bool
    pooling: str
    side: int
    top: list[dict] = field(default_factory=list)

    @property
    def channels(self) -> int:
        """What comes out of the backbone."""
        return int(BACKBONES[self.backbone].channels * self.width)

    @property
    def project_head(self) -> bool:
        """Whether the dense layers are this project's."""
        return tuple(layer["name"] for layer in self.top) == PROJECT_HEAD

    def as_dict(self) -> dict:
        """The facts as JSON can hold them."""
        return asdict(self)

    def describe(self) -> str:
        """The network in a line."""
        name = self.backbone if self.backbone == "vgg16" else f"{self.backbone} {self.variant}"
        bn = f", epsilon {self.epsilon:g}" if self.backbone == "resnet50" else ""
        top = " -> ".join(layer["name"] for layer in self.top) or "without dense layers"
        return f"{name}, width {self.width:g}{bn}, {self.preprocessing} preprocessing, {top}"


def settle(
    arrays: Arrays, said: dict, framework: str, variant: str | None, epsilon: float | None
) -> tuple[Network, list[str]]:
    """Complete what a file says of its network and check its arrays against it.

    Args:
        arrays: of the file, by neutral name.
        said: its facts as ``files.read`` returns them.
        framework: ``keras`` or ``torch``: whose default decay is assumed.
        variant, epsilon: what the person says besides; None where nothing.

    Returns:
        The network, and a line for each thing that the file leaves open.

    Raises:
        InputError: the arrays are another network's, or the person contradicts the file.
    """
    resnet = said["backbone"] == "resnet50"
    for name, value in (("variant", variant), ("epsilon", epsilon)):
        if value is not None and not resnet:
            raise InputError(f"--{name} {value}: a vgg16 has no such thing")
        if value is not None and name in said["told"] and value != said[name]:
            raise InputError(f"--{name} {value}: the file says {said[name]}")
    assumed = _assumed(said, variant, epsilon, "conv1_conv/bias" in arrays) if resnet else []
    variant = variant or said["variant"]
    epsilon = epsilon or said.get("epsilon", EPSILONS[variant])
    if variant in ("v1", "v1-old"):  # the same graph, told apart by epsilon
        variant = "v1-old" if epsilon == EPSILONS["v1-old"] else "v1"
    bias = not resnet or "conv1_conv/bias" in arrays
    table = shapes(said["backbone"], "v1" if bias else "v1.5", said["width"])
    network = Network(
        backbone=said["backbone"],
        variant=variant,
        width=said["width"],
        preprocessing=said["preprocessing"],
        epsilon=epsilon,
        decay=said.get("decay", DECAY["native"][framework]),
        bias=bias,
        pooling=said.get("pooling") or "avg",
        side=0,
    )
    network, of_top = _with_top(network, {n: a for n, a in arrays.items() if n not in table}, said)
    expected = {**table, **{name: arrays[name].shape for layer in network.top for name in _names(layer)}}
    try:
        keras_impl.weights.check(arrays, expected)
    except ValueError as error:
        raise InputError(f"not a {network.describe()}: {error}") from error
    return network, assumed + of_top


def unify(arrays: Arrays) -> tuple[Arrays, str]:
    """Bring arrays to one dtype that loses nothing: float32, or float64 if any is.

    Returns:
        The arrays, and what was done in a line (empty if nothing).
    """
    dtypes = {str(array.dtype) for array in arrays.values()}
    dtype = "float64" if "float64" in dtypes else "float32"
    changed = sorted(dtypes - {dtype})
    line = f"{', '.join(changed)} became {dtype}, which loses nothing" if changed else ""
    return {name: np.ascontiguousarray(array, dtype) for name, array in arrays.items()}, line


def _assumed(said: dict, variant: str | None, epsilon: float | None, biases: bool) -> list[str]:
    """A line for each fact of a ResNet50 that neither the file nor the person names."""
    lines = []
    if "variant" not in said["told"] and variant is None:
        lines.append(
            f"{said['variant']}, as the convolutions have {'' if biases else 'no '}biases (else --variant)"
        )
    if "epsilon" not in said["told"] and epsilon is None:
        lines.append(
            f"epsilon {EPSILONS[variant or said['variant']]:g}, as {variant or said['variant']} has (else --epsilon)"
        )
    return lines


def _names(layer: dict) -> list[str]:
    return [f"{layer['name']}/kernel", *([f"{layer['name']}/bias"] if layer["bias"] else [])]


def _with_top(network: Network, rest: Arrays, said: dict) -> tuple[Network, list[str]]:
    """Put the dense layers in order, and fill in what a file of weights doesn't say of them."""
    kernels = {
        name.removesuffix("/kernel"): a
        for name, a in rest.items()
        if name.endswith("/kernel") and a.ndim == 2
    }
    if not kernels:
        return network, []
    known = {layer["name"]: layer for layer in said.get("top") or ()}
    order = _chain(kernels, network.channels, list(known))
    rows = kernels[order[0]].shape[0]
    side = isqrt(rows // network.channels) if rows != network.channels else 0
    assumed = []
    top = []
    for name in order:
        layer = {
            "name": name,
            "units": kernels[name].shape[1],
            "bias": f"{name}/bias" in rest,
            "activation": known[name]["activation"]
            if name in known
            else _activation(name, name == order[-1], kernels),
            "dropout": known[name]["dropout"] if name in known else 0.5 if name in PROJECT_HEAD[1:] else 0.0,
        }
        if layer["activation"] not in ACTIVATIONS:
            assumed.append(f"{name} is checked without its activation, {layer['activation']}")
            layer["activation"] = "linear"
        top.append(layer)
    if not known and tuple(order) != PROJECT_HEAD:
        activations = ", ".join(f"{layer['name']} {layer['activation']}" for layer in top)
        assumed.append(f"activations ({activations}) and no dropout: weights don't say")
    pooling = "flatten" if side else network.pooling
    return replace(network, side=side, pooling=pooling, top=top), assumed


def _chain(kernels: Arrays, channels: int, order: list[str]) -> list[str]:
    """Order dense layers such that each takes what the one before gives; the file's order where both fit.

    Raises:
        InputError: no order fits.
    """
    names = sorted(kernels, key=lambda name: order.index(name) if name in order else len(order))
    if len(names) <= 8:
        for chain in permutations(names):
            rows = kernels[chain[0]].shape[0]
            side = isqrt(rows // channels)
            linked = pairwise(chain)
            if rows == side * side * channels and all(
                kernels[a].shape[1] == kernels[b].shape[0] for a, b in linked
            ):
                return list(chain)
    found = ", ".join(f"{name} {kernels[name].shape}" for name in names)
    raise InputError(f"dense layers that don't follow one another from {channels} channels on: {found}")


def _activation(name: str, last: bool, kernels: Arrays) -> str:
    """What a dense layer is taken to have: Keras's in the originals, else PyTorch's custom of ending in logits."""
    if not last:
        return "relu"
    if name in ("predictions", "head_output"):
        return "softmax" if name == "predictions" and kernels[name].shape[1] > 1 else "sigmoid"
    return "linear"
