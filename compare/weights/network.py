"""What network a file's arrays are of: what the file tells, what a person adds, and what has to be assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, permutations
from math import isqrt
from typing import Any

import numpy as np

from compare.spec import BACKBONES, EPSILONS, UNPADDED, InputError, some
from compare.weights.errors import UnreadableError
from compare.weights.shapes import shapes

Arrays = dict[str, np.ndarray]

# that both frameworks' networks know
ACTIVATIONS = (
    *("linear", "softmax", "relu", "sigmoid", "tanh"),
    *("elu", "gelu", "relu6", "selu", "silu"),
)
POOLINGS = ("none", "avg", "max", "flatten")
PREPROCESSING = ("caffe", "torch")
PROJECT_HEAD = ("head_dense_1", "head_dense_2", "head_output")
# dense layers whose order is tried out; more have to stand in the file's order
PERMUTED = 8


@dataclass(frozen=True)
class Dense:
    """A dense layer: ``dropout`` is the rate of what comes before it, ``activation`` one of `ACTIVATIONS`."""

    name: str
    units: int
    bias: bool
    activation: str
    dropout: float = 0.0


@dataclass(frozen=True)
class Told:
    """What a file itself says of its network; None where it says nothing.

    Attributes:
        pooling: one of `POOLINGS`.
        map: height and width of the map that is flattened.
        top: the dense layers in order.
        input: height and width of the images, if only one size will do.
    """

    backbone: str | None = None
    variant: str | None = None
    epsilon: float | None = None
    decay: float | None = None
    preprocessing: str | None = None
    pooling: str | None = None
    map: tuple[int, int] | None = None
    top: tuple[Dense, ...] | None = None
    input: tuple[int, int] | None = None

    @staticmethod
    def from_json(facts: Any) -> Told:
        """Read what `saving.write` of either framework kept in a file.

        Raises:
            UnreadableError: it isn't that.
        """
        try:
            side, held = facts.get("side"), facts.get("map") or (0, 0)
            height, width = (side, side) if side else map(int, held)
            told = Told(
                backbone=facts.get("backbone"),
                variant=facts.get("variant"),
                epsilon=None if facts.get("epsilon") is None else float(facts["epsilon"]),
                decay=None if facts.get("decay") is None else float(facts["decay"]),
                preprocessing=facts.get("preprocessing"),
                pooling=facts.get("pooling"),
                map=(height, width) if height else None,
                input=_size(facts.get("size")),
                top=tuple(_dense(layer) for layer in facts["top"]) if "top" in facts else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableError(
                "can't be read, it may be damaged: what it says of its network is none"
            ) from error
        told.check()
        return told

    def check(self) -> None:
        """Hold what is told against what there is.

        Raises:
            UnreadableError: there is no such thing.
        """
        for name, value, allowed in (
            ("backbone", self.backbone, BACKBONES),
            ("variant", self.variant, tuple(EPSILONS)),
            ("preprocessing", self.preprocessing, PREPROCESSING),
            ("pooling", self.pooling, POOLINGS),
        ):
            if value is not None and value not in allowed:
                raise UnreadableError(f"says that its {name} is {value!r}; it can be {', '.join(allowed)}")
        for name, number in (("epsilon", self.epsilon), ("decay", self.decay)):
            if number is not None and not 0 < number < 1:
                raise UnreadableError(f"says that its {name} is {number}; it must be between 0 and 1")


def _size(held: Any) -> tuple[int, int] | None:
    height, width = map(int, held or (0, 0))
    return (height, width) if height else None


def _dense(layer: dict[str, Any]) -> Dense:
    if layer["activation"] not in ACTIVATIONS:
        raise ValueError(layer["activation"])
    dropout = float(layer.get("dropout", 0.0))
    return Dense(str(layer["name"]), int(layer["units"]), bool(layer["bias"]), layer["activation"], dropout)


@dataclass(frozen=True)
class Network:
    """A network as `networks.build` of either framework takes it.

    Attributes:
        epsilon, decay: of batch normalisation.
        bias: whether the convolutions have one.
        pooling: one of `POOLINGS`; what it is without dense layers changes no weight.
        map: height and width of the map that is flattened, 0 and 0 if none is.
        size: height and width of the images where a flattened map allows one size alone, else 0 and 0.
        top: the dense layers in order.
    """

    backbone: str
    variant: str
    width: float
    preprocessing: str
    epsilon: float
    decay: float
    bias: bool
    pooling: str = "none"
    map: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (0, 0)
    top: tuple[Dense, ...] = ()

    @property
    def project_head(self) -> bool:
        """Whether the dense layers are this project's."""
        return tuple(layer.name for layer in self.top) == PROJECT_HEAD

    def as_dict(self) -> dict[str, Any]:
        """The network as JSON can hold it."""
        lists = {"map": list(self.map), "size": list(self.size), "top": [asdict(layer) for layer in self.top]}
        return {**asdict(self), **lists}

    def describe(self) -> str:
        """The network in a line."""
        name = self.backbone if self.backbone == "vgg16" else f"{self.backbone} {self.variant}"
        bn = f", epsilon {self.epsilon:g}" if self.backbone == "resnet50" else ""
        names = [layer.name for layer in self.top]
        top = " -> ".join(names[:PERMUTED]) or "without dense layers"
        return f"{name}, width {self.width:g}{bn}, {self.preprocessing} preprocessing, {top}"


@dataclass(frozen=True)
class Chain:
    """The dense layers of a file in the order in which data pass them.

    Attributes:
        rows: of the first, over the backbone's channels: 1 after pooling, height times width after a flatten.
        unsure: layers of the same shape that could change places, where the file doesn't say.
    """

    names: tuple[str, ...] = ()
    rows: int = 0
    unsure: tuple[str, ...] = ()


def backbone_table(backbone: str, arrays: Arrays) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays that a backbone of this width has."""
    first = arrays["conv1_conv/kernel" if backbone == "resnet50" else "block1_conv1/kernel"]
    biased = backbone == "vgg16" or "conv1_conv/bias" in arrays
    return shapes(backbone, "v1" if biased else "v1.5", first.shape[-1] / 64)


def channels_of(backbone: str, width: float) -> int:
    """How many channels come out of a backbone."""
    return int((2048 if backbone == "resnet50" else 512) * width)


def kernels_of(rest: Arrays) -> Arrays:
    """The kernels of the dense layers among a head's arrays, in their order."""
    return {
        name.removesuffix("/kernel"): array
        for name, array in rest.items()
        if name.endswith("/kernel") and array.ndim == 2
    }


def chain(
    kernels: Arrays,
    channels: int,
    told: tuple[Dense, ...] | None,
    ordered: bool,
    called: Callable[[str], str] = str,
) -> Chain:
    """Order dense layers such that each takes what the one before gives.

    Args:
        told: the layers in order, where the file says it; else the order of ``kernels`` where it fits.
        ordered: whether the order of ``kernels`` is the file's, and not one that a library sorted.
        called: what the file calls a layer.

    Raises:
        ValueError: no order fits.
    """
    if not kernels:
        return Chain()
    names = [layer.name for layer in told or () if layer.name in kernels]
    names += [name for name in kernels if name not in names]

    def fits(order: tuple[str, ...]) -> bool:
        linked = all(kernels[a].shape[1] == kernels[b].shape[0] for a, b in pairwise(order))
        return linked and kernels[order[0]].shape[0] % channels == 0

    orders = permutations(names) if len(names) <= PERMUTED else iter([tuple(names)])
    fitting = [order for order in orders if fits(order)]
    if not fitting:
        found = some([f"{called(name)} {kernels[name].shape}" for name in names])
        raise ValueError(
            f"has dense layers that don't follow one another from {channels} channels on: {found}"
        )
    first = fitting[0]
    unsure: tuple[str, ...] = ()
    if not ordered and not told and len(fitting) > 1:
        unsure = tuple(name for i, name in enumerate(first) if any(order[i] != name for order in fitting))
    return Chain(first, kernels[first[0]].shape[0] // channels, unsure)


def map_of(backbone: str, variant: str, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the map that a backbone makes of images of a size."""

    def side(pixels: int) -> int:
        if backbone == "vgg16":
            return pixels // 32
        pixels = -(-pixels // 2)
        pixels = (pixels - 1) // 2 if variant in UNPADDED else -(-pixels // 2)
        return -(-pixels // 8)

    return side(size[0]), side(size[1])


def square(rows: int) -> tuple[int, int] | None:
    """The map that so many values a channel are of, if it is a square one."""
    side = isqrt(rows)
    return (side, side) if side * side == rows else None


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


def with_output(network: Network, activation: str) -> Network:
    """Give the last dense layer another activation.

    Raises:
        InputError: there is no dense layer.
    """
    if not network.top:
        raise InputError(f"--output {activation}: SOURCE has no dense layer that could have an activation")
    return replace(network, top=(*network.top[:-1], replace(network.top[-1], activation=activation)))


def check(arrays: Arrays, expected: dict[str, tuple[int, ...]]) -> None:
    """Compare the names and shapes of arrays with those expected.

    Raises:
        ValueError: they differ; the line lists the first missing, unexpected and misshapen names.
    """
    misshapen = [
        f"{name} {tuple(arrays[name].shape)} for {tuple(expected[name])}"
        for name in sorted(expected.keys() & arrays.keys())
        if tuple(arrays[name].shape) != tuple(expected[name])
    ]
    lists = {
        "missing": sorted(expected.keys() - arrays.keys()),
        "unexpected": sorted(arrays.keys() - expected.keys()),
        "misshapen": misshapen,
    }
    found = "; ".join(f"{len(names)} {what}: {some(names)}" for what, names in lists.items() if names)
    if found:
        raise ValueError(found)
