"""Maps that were flattened: whether PyTorch's lies in the order C, H, W where Keras's is H, W, C."""

from __future__ import annotations

from math import prod

import numpy as np

from compare.pair.graph import Op
from compare.pair.matching import Values, distance
from compare.pair.partners import Partner
from compare.pair.records import Seen

NORMS = ("batch norm", "norm")
# what leaves every number of a flattened map in its place
SAME_PLACES = ("dropout", "identity", "relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid", "elu", "other",
               "batch_norm", "layer_norm")  # fmt: skip
Rows = dict[int, tuple[int, ...]]


def may_flatten(pairs: list[Partner], keras: Seen) -> bool:
    """Whether a dense layer is behind a flattened map."""
    return any(_after_flatten(pair) and _map_before(keras, pair.keras) is not None for pair in pairs)


def _after_flatten(pair: Partner) -> bool:
    """Whether a flattened map's order shows in an operation's arrays."""
    if pair.keras.family in NORMS:
        return pair.torch.family == pair.keras.family
    return pair.keras.kind == "dense" and pair.torch.kind in ("dense", "conv")


def flattened(pairs: list[Partner], keras: Seen, torch: Seen, values: Values | None = None) -> Rows:
    """Dense layers behind a flattened map, with its (H, W, C), where PyTorch's flattened one is in the order C, H, W.

    Args:
        values: of PyTorch's pass with Keras's arrays; they tell, and structure where they can't or aren't given.
    """
    rows = {}
    for pair in pairs:
        if not _after_flatten(pair):
            continue
        shape = _map_before(keras, pair.keras)
        if shape is None:
            continue
        first = _told(pair, keras, values, shape) if values is not None else None
        if first is None:
            first = _channels_first(torch, pair.torch, shape)
        if first:
            rows[pair.keras.number] = shape
    return rows


def _told(pair: Partner, keras: Seen, values: Values, shape: tuple[int, ...]) -> bool | None:
    """Whether the inputs of both are equal with the channels first (True), as they are (False), or neither (None)."""
    ours, name = keras.values[pair.keras.calls[0].inputs[0]], pair.torch.calls[0].inputs[0]
    theirs = values.run.values.get(name)
    if theirs is None or theirs.size != ours.size:
        return None
    ours, theirs = ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)
    turned = np.moveaxis(ours.reshape(-1, *shape), -1, 1).reshape(ours.shape)
    for answer, array in ((False, ours), (True, turned)):
        if distance(theirs, array) <= values.floor:
            return answer
    return None


def _map_before(run: Seen, op: Op) -> tuple[int, ...] | None:
    """(H, W, C) of the map that an operation's input was flattened from."""
    call = run.maker.get(op.calls[0].inputs[0])
    while call is not None and (call.kind in SAME_PLACES or (not call.slots and call.facts.get("fused"))):
        call = run.maker.get(call.inputs[0]) if call.inputs else None
    if call is None or call.kind not in ("flatten", "reshape") or not call.inputs:
        return None
    shape = run.values[call.inputs[0]].shape[1:]
    if len(shape) < 2 or prod(shape[:-1]) == 1 or shape[-1] == 1:
        return None
    if op.family in NORMS:
        n_in = max(prod(slot.shape) for slot in op.slots.values())
    else:
        n_in = prod(op.slots["kernel"].shape[axis] for axis in op.facts["in_axes"])
    return tuple(shape) if prod(shape) == n_in else None


def _channels_first(run: Seen, op: Op, shape: tuple[int, ...]) -> bool:
    """Whether PyTorch's input was flattened from (C, H, W)."""
    call = run.maker.get(op.calls[0].inputs[0])
    while call is not None:
        if call.kind in ("flatten", "reshape") and call.inputs:
            before = run.values[call.inputs[0]].shape[1:]
            if len(before) == len(shape):
                return tuple(before) == (shape[-1], *shape[:-1])
        call = run.maker.get(call.inputs[0]) if call.inputs else None
        if call is not None and call.kind in ("dense", "conv", "matmul", "lstm", "gru", "rnn"):
            return False
    return False
