"""Maps that are flattened, or made of a vector: whether PyTorch's lie in the order C, H, W where Keras's is H, W, C."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

from compare.pair.graph import Op
from compare.pair.layouts import Segments, turn
from compare.pair.matching import Values, distance
from compare.pair.partners import Partner
from compare.pair.records import Call, Seen

NORMS = ("batch norm", "norm")
RECURRENT = ("lstm", "gru", "rnn")
# what leaves every number of a flattened map in its place
SAME_PLACES = ("dropout", "identity", "relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid", "elu", "other",
               "batch_norm", "layer_norm", "selu", "relu6", "softplus", "mish", "hard_silu")  # fmt: skip
RESHAPES = ("flatten", "reshape")
PRODUCTS = ("dense", "conv", "matmul", "lstm", "gru", "rnn", "embedding", "depthwise_conv", "conv_transpose")
MOST = 3  # flattened maps in one vector whose orders are tried one by one
# the number of a Keras operation, and whether its inputs or its results -> the parts of that vector
Rows = dict[tuple[int, str], Segments]


def may_flatten(pairs: list[Partner], keras: Seen) -> bool:
    """Whether a layer's arrays show the order of a flattened map."""
    return any(_into(pair, keras) is not None for pair in pairs)


def flattened(pairs: list[Partner], keras: Seen, torch: Seen, values: Values | None = None) -> Rows:
    """Layers whose arrays show the order of a flattened map, where PyTorch's is in the order C, H, W.

    Args:
        values: of PyTorch's pass with Keras's arrays; they tell, and structure where they can't or aren't given.
    """
    rows: Rows = {}
    for pair in pairs:
        parts = _into(pair, keras)
        if parts is not None:
            found = _told(pair, keras, values, parts) if values is not None else None
            found = found or tuple(
                (n, s if _channels_first(torch, pair.torch, s) else None) for n, s in parts
            )
            if any(shape for _, shape in found):
                rows[pair.keras.number, "in"] = found
        shape = _map_behind(keras, pair.keras) if pair.torch.family == pair.keras.family else None
        if shape is not None and _made_first(torch, pair.torch, shape):
            rows[pair.keras.number, "out"] = ((prod(shape), shape),)
    return rows


def _into(pair: Partner, keras: Seen) -> Segments | None:
    """The parts of the vector that a layer reads, if one of them is a flattened map."""
    op = pair.keras
    fits = pair.torch.kind in ("dense", "conv") if op.kind == "dense" else pair.torch.family == op.family
    if not fits or not (op.kind == "dense" or op.family in (*NORMS, *RECURRENT)) or not op.calls[0].inputs:
        return None
    parts = _parts(keras, op.calls[0].inputs[0])
    if op.family in RECURRENT:
        kernel = op.slots.get("kernel") or op.slots.get("forward_kernel")
        count = kernel.shape[0] if kernel is not None and pair.gate is None else 0
        return parts if any(shape for _, shape in parts) and sum(n for n, _ in parts) == count else None
    if op.family in NORMS:
        count = max(prod(slot.shape) for slot in op.slots.values())
    else:
        count = prod(op.slots["kernel"].shape[axis] for axis in op.facts["in_axes"])
    return parts if any(shape for _, shape in parts) and sum(n for n, _ in parts) == count else None


def _parts(run: Seen, value: str) -> Segments:
    """What a vector consists of: for each part how many numbers, and (H, W, C) of the map that it was."""
    shape = run.values[value].shape[1:] if value in run.values else ()
    plain = ((shape[-1] if shape else 0, None),)
    call = run.maker.get(value)
    while call is not None and call.inputs and _keeps(call):
        call = run.maker.get(call.inputs[0])
    if call is None or not call.inputs or not shape:
        return plain
    if call.kind == "concat" and len(shape) == 1:
        return tuple(part for one in call.inputs for part in _parts(run, one))
    if call.kind not in RESHAPES or call.inputs[0] not in run.values:
        return plain
    # of a sequence of maps, the map of each step
    steps, before = len(shape) - 1, run.values[call.inputs[0]].shape[1:]
    own = before[steps:]
    if before[:steps] != shape[:-1] or len(own) < 2 or prod(own[:-1]) == 1 or own[-1] == 1:
        return plain
    return ((shape[-1], tuple(own)),) if prod(own) == shape[-1] else plain


def _keeps(call: Call) -> bool:
    """Whether every number of a vector stays in its place."""
    return call.kind in SAME_PLACES or (not call.slots and bool(call.facts.get("fused")))


def as_there(run: Seen, pairs: list[Partner], rows: Rows) -> Seen:
    """A pass of Keras's with the vectors whose maps lie otherwise in PyTorch as they lie there."""
    calls = {call.index: call for call in run.calls}
    found: dict[str, Segments] = {}
    for pair in pairs:
        for end in ("in", "out"):
            parts = rows.get((pair.keras.number, end))
            if parts is None:
                continue
            for call in (calls[c.index] for c in pair.keras.calls if c.index in calls):
                if end == "in":
                    _before(run, call.inputs[0], parts, found)
                if end == "out" or pair.keras.family in NORMS:
                    _behind(run, call.outputs[0], parts, found)
    turned = {
        n: turn(run.values[n], run.values[n].ndim - 1, parts)
        for n, parts in found.items()
        if _fits(run, n, parts)
    }
    return replace(run, values={**run.values, **turned}) if turned else run


def _fits(run: Seen, value: str, parts: Segments) -> bool:
    return value in run.values and run.values[value].shape[-1] == sum(n for n, _ in parts)


def _before(run: Seen, value: str, parts: Segments, found: dict[str, Segments]) -> None:
    """The values, back to those that maps were flattened to, in which a vector's numbers lie as in itself."""
    found[value] = parts
    call = run.maker.get(value)
    if call is not None and call.inputs and _keeps(call):
        _before(run, call.inputs[0], parts, found)
    elif call is not None and call.kind == "concat":
        left = list(parts)
        for one in call.inputs:
            count = prod(run.values[one].shape[1:]) if one in run.values else 0
            own: list[tuple[int, tuple[int, ...] | None]] = []
            while left and sum(n for n, _ in own) < count:
                own.append(left.pop(0))
            if any(shape for _, shape in own):
                _before(run, one, tuple(own), found)


def _behind(run: Seen, value: str, parts: Segments, found: dict[str, Segments]) -> None:
    """The values behind a vector in which its numbers lie as in itself."""
    found[value] = parts
    for call in run.users.get(value, []):
        if call.outputs and _keeps(call):
            _behind(run, call.outputs[0], parts, found)


def _told(pair: Partner, keras: Seen, values: Values, parts: Segments) -> Segments | None:
    """The parts whose order has to be turned for the inputs of both to be equal; None where no order makes them."""
    ours, name = keras.values[pair.keras.calls[0].inputs[0]], pair.torch.calls[0].inputs[0]
    theirs = values.run.values.get(name)
    if theirs is None or theirs.size != ours.size:
        return None
    if ours.ndim == 2:
        theirs = theirs.reshape(ours.shape)
    elif theirs.shape != ours.shape:  # the steps first
        theirs = theirs.swapaxes(0, 1)
    if theirs.shape != ours.shape:
        return None
    maps = sum(shape is not None for _, shape in parts)
    every = product((False, True), repeat=maps) if maps <= MOST else ((False,) * maps, (True,) * maps)
    for answer in every:
        left = iter(answer)
        found = tuple((n, shape if shape and next(left) else None) for n, shape in parts)
        if distance(theirs, turn(ours, ours.ndim - 1, found)) <= values.floor:
            return found
    return None


def _channels_first(run: Seen, op: Op, shape: tuple[int, ...] | None) -> bool:
    """Whether what PyTorch's layer reads was flattened from (C, H, W)."""
    if shape is None:
        return False
    waiting, seen = list(op.calls[0].inputs[:1]), set()
    while waiting:
        call = run.maker.get(waiting.pop())
        if call is None or call.index in seen:
            continue
        seen.add(call.index)
        if call.kind in RESHAPES and call.inputs:
            before = run.values[call.inputs[0]].shape[1:]
            own = before[max(len(before) - len(shape), 0) :]
            if len(own) == len(shape) and prod(own) == prod(shape):
                return tuple(own) == (shape[-1], *shape[:-1])
        if call.kind not in PRODUCTS:
            waiting += call.inputs
    return False


def _map_behind(run: Seen, op: Op) -> tuple[int, ...] | None:
    """(H, W, C) of the map that a layer's vector is made into."""
    if op.kind != "dense" and op.family not in NORMS:
        return None
    shape = _made(run, op)
    if shape is None or len(shape) < 2 or prod(shape[:-1]) == 1 or shape[-1] == 1:
        return None
    return shape


def _made_first(run: Seen, op: Op, shape: tuple[int, ...]) -> bool:
    """Whether PyTorch makes (C, H, W) of its vector."""
    made = _made(run, op)
    return made == (shape[-1], *shape[:-1]) and (made != shape or not _turned_behind(run, op))


def _made(run: Seen, op: Op) -> tuple[int, ...] | None:
    call = _reshaping(run, op)
    return tuple(run.values[call.outputs[0]].shape[1:]) if call is not None else None


def _reshaping(run: Seen, op: Op) -> Call | None:
    """The call that makes a map of a layer's vector; None where there is none, or the vector is read elsewhere, too."""
    value = op.calls[-1].outputs[0] if len(op.calls) == 1 and op.calls[-1].outputs else ""
    while value in run.values and run.values[value].ndim == 2:
        users = run.users.get(value, [])
        if len(users) != 1 or not users[0].outputs or users[0].outputs[0] not in run.values:
            return None
        if users[0].kind == "reshape" and run.values[users[0].outputs[0]].ndim > 2:
            return users[0]
        if not _keeps(users[0]):
            return None
        value = users[0].outputs[0]
    return None


def _turned_behind(run: Seen, op: Op) -> bool:
    """Whether the axes of the map that was made are moved next."""
    call = _reshaping(run, op)
    users = run.users.get(call.outputs[0], []) if call is not None else []
    return any(user.kind in ("permute", "transpose") for user in users)
