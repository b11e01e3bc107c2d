"""How an array of a Keras layer lies in a PyTorch module's: steps that can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

Steps = tuple[tuple[Any, ...], ...]
# the parts of a vector: how many numbers, and (H, W, C) of a map that was flattened
Segments = tuple[tuple[int, tuple[int, ...] | None], ...]


@dataclass(frozen=True)
class Layout:
    """From Keras's array to PyTorch's.

    Attributes:
        name: for a person to read.
        steps: ``("transpose", axes)``, ``("reshape", to)``, ``("take", axis, order)``,
            ``("slice", axis, start, stop)``, ``("turn", axis, parts)``.
    """

    name: str
    steps: Steps = ()

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Lay an array of Keras's out as PyTorch's."""
        for step in self.steps:
            array = _APPLY[step[0]](array, *step[1:])
        return array

    @property
    def whole(self) -> bool:
        """Whether every element of Keras's array is in it."""
        return all(step[0] != "slice" for step in self.steps)

    def index(self, shape: Sequence[int]) -> np.ndarray:
        """Where in Keras's array, flat, each element of PyTorch's comes from."""
        return self.apply(np.arange(prod(shape)).reshape(shape))


def turn(array: np.ndarray, axis: int, parts: Segments) -> np.ndarray:
    """Bring the maps in a vector from the order H, W, C into C, H, W.

    Args:
        axis: which of the array's is the vector.
        parts: how many numbers, and (H, W, C) of what is to be turned.
    """
    made, at = [], 0
    for count, shape in parts:
        part = _slice(array, axis, at, at + count)
        at += count
        if shape is not None:
            split = part.reshape(*part.shape[:axis], *shape, *part.shape[axis + 1 :])
            part = np.moveaxis(split, axis + len(shape) - 1, axis).reshape(part.shape)
        made.append(part)
    return np.concatenate(made, axis)


def _slice(array: np.ndarray, axis: int, start: int, stop: int) -> np.ndarray:
    return array[(slice(None),) * axis + (slice(start, stop),)]


_APPLY: dict[str, Any] = {
    "transpose": lambda array, axes: array.transpose(axes),
    "reshape": lambda array, shape: array.reshape(shape),
    "take": lambda array, axis, order: array.take(order, axis),
    "slice": _slice,
    "turn": turn,
}
SPATIAL = {1: "W", 2: "HW", 3: "DHW"}
GRU_ORDER = (1, 0, 2)  # Keras keeps update, reset, new; PyTorch reset, update, new


def same(shape: Sequence[int], target: Sequence[int]) -> Layout | None:
    """Elements in the same order; axes of length one come and go. An image's gamma has its channels moved."""
    if prod(shape) != prod(target):
        return None
    if tuple(shape) == tuple(target):
        return Layout("as it is")
    if [s for s in shape if s > 1] == [s for s in target if s > 1]:
        return Layout("as it is", (("reshape", tuple(target)),))
    first = (shape[-1], *shape[:-1])
    if [s for s in first if s > 1] == [s for s in target if s > 1]:
        axes = (len(shape) - 1, *range(len(shape) - 1))
        return Layout("channels first", (("transpose", axes), ("reshape", tuple(target))))
    return None


def channels_first(shape: Sequence[int]) -> Layout:
    """The last axis moved to the front, where the sizes alone don't say so."""
    return Layout("channels first", (("transpose", (len(shape) - 1, *range(len(shape) - 1))),))


def flat(shape: Sequence[int], target: Sequence[int]) -> Layout | None:
    """A bias, whose heads lie one behind the other."""
    if prod(shape) != prod(target):
        return None
    return Layout("as it is", () if tuple(shape) == tuple(target) else (("reshape", tuple(target)),))


def moved(layout: Layout | None, parts: Segments | None) -> Layout | None:
    """A layout of a flattened map's numbers, where PyTorch's are in the order C, H, W.

    Args:
        parts: of the vector that the map is in.
    """
    if layout is None or parts is None:
        return layout
    count = sum(n for n, _ in parts)
    steps = (("reshape", (count,)), ("turn", 0, parts), *layout.steps)
    return Layout(f"{layout.name}, from {_order(parts)}", steps)


def turned(layout: Layout | None, rows: Segments | None) -> Layout | None:
    """A layout of a matrix whose rows are a vector with maps in it, which in PyTorch are in the order C, H, W."""
    if layout is None or rows is None:
        return layout
    return Layout(f"{layout.name}, rows from {_order(rows)}", (("turn", 0, rows), *layout.steps))


def _order(parts: Segments) -> str:
    """From which order to which, in words."""
    shape = next(shape for _, shape in parts if shape)
    axes = SPATIAL.get(len(shape) - 1, "...")
    return f"{axes}C to C{axes} order"


def dense(
    shape: Sequence[int],
    target: Sequence[int],
    ins: Sequence[int],
    turned: bool,
    rows: Segments | None,
    columns: Segments | None = None,
) -> Layout | None:
    """A dense kernel.

    Args:
        shape: of Keras's, whose axes ``ins`` are the inputs.
        target: of PyTorch's: (out, in), with a convolution's axes of length one behind; (in, out) if ``turned``.
        rows, columns: the parts of the vectors that it reads and makes, where maps in PyTorch's are in the order
            C, H, W.
    """
    outs = [axis for axis in range(len(shape)) if axis not in ins]
    n_in, n_out = prod(shape[axis] for axis in ins), prod(shape[axis] for axis in outs)
    plain = [size for size in target if size > 1] or [1]
    wanted = [size for size in ((n_in, n_out) if turned else (n_out, n_in)) if size > 1] or [1]
    if plain != wanted:
        return None
    steps: list[tuple] = []
    order = (*ins, *outs)
    if order != tuple(range(len(shape))):
        steps.append(("transpose", order))
    if len(shape) != 2:
        steps.append(("reshape", (n_in, n_out)))
    name = "as it is" if turned else "transposed"
    for axis, (word, parts) in enumerate((("rows", rows), ("columns", columns))):
        if parts is not None:
            steps.append(("turn", axis, parts))
            name += f", {word} from {_order(parts)}"
    if not turned:
        steps.append(("transpose", (1, 0)))
    final = (n_in, n_out) if turned else (n_out, n_in)
    if final != tuple(target):
        steps.append(("reshape", tuple(target)))
    return Layout(name, tuple(steps))


def conv(kind: str, shape: Sequence[int], target: Sequence[int]) -> Layout | None:
    """A convolution's kernel: Keras's spatial axes come first, PyTorch's last."""
    rank = len(shape) - 2
    if len(target) != rank + 2:
        return None
    axes = SPATIAL.get(rank, "...")
    space = tuple(range(rank))
    if kind == "conv_transpose":
        layout = Layout(f"{axes}OI to IO{axes}", (("transpose", (rank + 1, rank, *space)),))
    elif kind == "depthwise_conv":
        steps = (("transpose", (rank, rank + 1, *space)), ("reshape", tuple(target)))
        if (shape[rank] * shape[rank + 1], 1, *shape[:rank]) != tuple(target):
            return None
        return Layout(f"{axes}CM to (CM)1{axes}", steps)
    else:
        layout = Layout(f"{axes}IO to OI{axes}", (("transpose", (rank + 1, rank, *space)),))
    return layout if layout.apply(np.empty(shape, np.bool_)).shape == tuple(target) else None


def gates(
    role: str,
    kind: str,
    shape: Sequence[int],
    target: Sequence[int],
    row: int | None,
    gate: tuple[int, int] | None = None,
) -> Layout | None:
    """A recurrent layer's kernels and biases.

    Args:
        row: which of a GRU's two biases.
        gate: where the elements of one gate start and stop, where each lies in an array of its own.
    """
    steps: list[tuple] = []
    own = tuple(shape)
    if row is not None and len(own) == 2 and role.endswith("bias"):
        steps += [("slice", 0, row, row + 1), ("reshape", own[1:])]
        own = own[1:]
    if gate is not None:
        steps.append(("slice", len(own) - 1, *gate))
        own = (*own[:-1], gate[1] - gate[0])
    if len(own) == 2:
        steps.append(("transpose", (1, 0)))
        own = own[::-1]
    name = "transposed" if len(shape) == 2 and row is None else "as it is"
    if gate is not None:
        name += f", one gate: {gate[0]} to {gate[1]}"
    elif kind == "gru":
        units = own[0] // 3
        steps += [("reshape", (3, units, *own[1:])), ("take", 0, GRU_ORDER), ("reshape", own)]
        name += ", gates from z, r, h to r, z, n"
    return Layout(name, tuple(steps)) if own == tuple(target) else None
