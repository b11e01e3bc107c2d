"""The calls that read arrays, as a graph of their own, the same for both frameworks."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from compare.pair.records import Call, Held, Seen, Slot

# kinds that stand for one another in a port
CLASSES = {
    "dense": "linear", "conv": "linear", "depthwise_conv": "linear", "conv_transpose": "transposed",
    "batch_norm": "batch norm", "layer_norm": "norm", "group_norm": "norm", "rms_norm": "norm",
    "instance_norm": "norm", "embedding": "embedding", "lstm": "lstm", "gru": "gru", "rnn": "rnn",
}  # fmt: skip
STANDARD = ("Linear", "Conv", "Embedding", "LSTM", "GRU", "RNN", "Norm", "MultiheadAttention", "PReLU")


ORDERED = ("concat", "subtract", "divide", "matmul")  # calls that take several values, each for another thing
# in a normalisation the names say what an array is, however it is used
NORMS = ("batch_norm", "layer_norm", "group_norm", "rms_norm", "instance_norm")
NAMED = {
    "weight": "gamma", "gamma": "gamma", "bias": "beta", "beta": "beta", "running_mean": "mean",
    "running_var": "variance", "moving_mean": "mean", "moving_var": "variance", "moving_variance": "variance",
    "g": "gamma", "b": "beta", "scale": "gamma", "shift": "beta", "mean": "mean", "var": "variance",
}  # fmt: skip


@dataclass(eq=False)
class Op:
    """All calls that read the same arrays.

    Attributes:
        slots: role -> the array as it is read.
        calls: in forward order.
        label: what a partner must share.
        rank: its place in the order of calls: that of the call that takes it in among others, and where there.
    """

    number: int
    kind: str
    place: str
    slots: dict[str, Slot]
    calls: list[Call]
    facts: dict[str, Any]
    label: tuple = ()
    before: set[int] = field(default_factory=set)
    after: set[int] = field(default_factory=set)
    rank: tuple[int, int] = (0, 0)

    @property
    def owner(self) -> str:
        """The layer that a person would name."""
        return self.calls[0].owner

    @property
    def family(self) -> str:
        """Kinds that stand for one another in a port."""
        return CLASSES.get(self.kind, "array")


def ops(run: Seen, arrays: dict[str, Held], keras: bool) -> list[Op]:
    """Gather the calls that read arrays, and which follow on which."""
    found: list[Op] = []
    by_arrays: dict[tuple, Op] = {}
    sources: dict[str, set[int]] = {name: set() for name in run.inputs}
    for call in run.calls:
        before = set().union(*(sources.get(value, set()) for value in call.inputs))
        for kind, place, slots, facts in _read(call, arrays, keras):
            key = (kind, *sorted((slot.name, _mark(slot.index)) for slot in slots.values()))
            op = by_arrays.get(key)
            if op is None:
                op = Op(len(found), kind, place, slots, [], facts)
                op.label = label(op)
                found.append(op)
                by_arrays[key] = op
            op.calls.append(call)
            op.before |= before - {op.number}
            before = {op.number}
        for value in call.outputs:
            sources[value] = before
    found = found if keras else _with_biases(found, run)
    found = _written_out(found)
    for op in found:
        op.rank = _rank(run, op)
        for number in op.before:
            found[number].after.add(op.number)
    return found


def _rank(run: Seen, op: Op) -> tuple[int, int]:
    """Where a result goes that is one of several in a row: a list says more than the order in which it was computed."""
    call = op.calls[-1]
    while call.outputs:
        users = run.users.get(call.outputs[0], [])
        if len(users) != 1 or (users[0].slots and users[0].kind != "batch_norm"):
            break
        if users[0].kind in ORDERED and len(users[0].inputs) > 1:
            return users[0].index, users[0].inputs.index(call.outputs[0])
        if len(users[0].inputs) != 1:
            break
        call = users[0]
    return op.calls[0].index, 0


def _with_biases(found: list[Op], run: Seen) -> list[Op]:
    """Make an array that is added to a product's result that product's bias: ``x @ w + b``."""
    into: dict[int, int] = {}
    for op in found:
        if op.kind != "custom" or len(op.slots) != 1 or any(call.kind != "add" for call in op.calls):
            continue
        makers = [run.maker.get(value) for call in op.calls for value in call.inputs]
        product = next(
            (o for o in found if makers and all(any(c is m for c in o.calls) for m in makers)), None
        )
        slot = next(iter(op.slots.values()))
        if product is None or product.family != "linear" or not _is_bias(product, slot):
            continue
        product.slots["bias"] = Slot("bias", slot.name, slot.shape, slot.index)
        product.calls = sorted([*product.calls, *op.calls], key=lambda call: call.index)
        into[op.number] = product.number
    return _merged(found, into)


def _is_bias(product: Op, slot: Slot) -> bool:
    """Whether an array has one number for each of a product's outputs."""
    kernel = product.slots["kernel"].shape
    outs = kernel[-1] if product.facts.get("rows_are_inputs") else kernel[0]
    return "bias" not in product.slots and prod(slot.shape) == outs


def _written_out(found: list[Op]) -> list[Op]:
    """Put the gamma and beta of a normalisation that is written out into one operation."""
    groups: dict[str, list[Op]] = {}
    for op in found:
        owner, _, own = next(iter(op.slots.values())).name.rpartition(".")
        if op.kind == "custom" and len(op.slots) == 1 and own in NAMED:
            groups.setdefault(owner, []).append(op)
    into: dict[int, int] = {}
    for members in groups.values():
        roles = {NAMED[next(iter(op.slots.values())).name.rpartition(".")[2]]: op for op in members}
        if len(roles) < 2 or len(roles) < len(members):
            continue
        first = members[0]
        first.slots = {
            role: Slot(role, slot.name, slot.shape, slot.index)
            for role, op in roles.items()
            for slot in op.slots.values()
        }
        first.kind = "batch_norm" if "mean" in roles else "layer_norm"
        first.label = label(first)
        into |= {op.number: first.number for op in members[1:]}
        first.calls += [call for op in members[1:] for call in op.calls]
    return _merged(found, into)


def _merged(found: list[Op], into: dict[int, int]) -> list[Op]:
    """Leave out operations that have become a part of others, by number."""
    if not into:
        return found
    kept = [op for op in found if op.number not in into]
    numbers = {op.number: n for n, op in enumerate(kept)}
    for op in kept:
        op.before = {numbers[into.get(n, n)] for n in op.before} - {numbers[op.number]}
    for op in kept:
        op.number = numbers[op.number]
    return kept


def _mark(index: Any) -> Any:
    return index.tobytes() if isinstance(index, np.ndarray) else str(index)


def _read(call: Call, arrays: dict[str, Held], keras: bool) -> list[tuple[str, str, dict[str, Slot], dict]]:
    """The parts of a call that read arrays: one for most, one a layer for a stack of recurrent ones."""
    if not call.slots:
        return []
    if keras:
        return _keras_parts(call)
    if call.kind in ("lstm", "gru", "rnn"):
        return _stacked(call)
    slots, kind = _conventional(call, arrays)
    facts = call.facts
    if call.kind in ("matmul", "addmm"):
        own = not any(arrays[slot.name].kind.startswith(STANDARD) for slot in call.slots)
        facts = {**facts, "rows_are_inputs": own and _rows_are_inputs(call)}
    if kind == "custom":
        return [(kind, call.place, {role: slot}, facts) for role, slot in slots.items()]
    return [(kind, call.place, slots, facts)]


def _rows_are_inputs(call: Call) -> bool:
    """Whether a product reads a matrix as (in, out): ``x @ w`` does, ``w @ x`` doesn't."""
    if call.kind == "addmm":
        return True
    equation = call.facts.get("equation")
    if not isinstance(equation, str) or "->" not in equation:
        return call.slots[0].role != "input"
    terms, result = equation.replace(" ", "").split("->")
    term = terms.split(",")[-1 if call.slots[0].role == "other" else 0]
    return term[-1] in result


def _keras_parts(call: Call) -> list[tuple[str, str, dict[str, Slot], dict]]:
    slots = {slot.role: slot for slot in call.slots}
    if call.kind not in (*CLASSES, "prelu", "separable_conv"):
        return [("custom", call.place, {role: slot}, call.facts) for role, slot in slots.items()]
    if call.kind != "separable_conv":
        return [(call.kind, call.place, slots, call.facts)]
    first = {"kernel": slots["depthwise_kernel"]}
    second = {"kernel": slots["pointwise_kernel"], **{r: s for r, s in slots.items() if r == "bias"}}
    return [("depthwise_conv", call.place, first, call.facts), ("conv", call.place, second, call.facts)]


def _stacked(call: Call) -> list[tuple[str, str, dict[str, Slot], dict]]:
    """PyTorch's recurrent stack, layer by layer; a cell is one layer."""
    if call.facts.get("cell"):
        names = {
            "weight_ih": "kernel",
            "weight_hh": "recurrent_kernel",
            "bias_ih": "bias",
            "bias_hh": "second_bias",
        }
        return [
            (call.kind, call.place, {names[s.role]: s for s in call.slots if s.role in names}, call.facts)
        ]
    each = 4 if call.facts.get("has_biases", True) else 2
    directions = 2 if call.facts.get("bidirectional") else 1
    roles = ("kernel", "recurrent_kernel", "bias", "second_bias")[:each]
    params = [slot for slot in call.slots if slot.role.startswith("params")]
    parts = []
    for start in range(0, len(params), each * directions):
        slots = {}
        for n, slot in enumerate(params[start : start + each * directions]):
            side = ("forward_", "backward_")[n // each] if directions == 2 else ""
            slots[side + roles[n % each]] = slot
        layer = start // (each * directions)
        parts.append((call.kind, call.place, slots, {**call.facts, "layer": layer, "directions": directions}))
    return parts


def _conventional(call: Call, arrays: dict[str, Held]) -> tuple[dict[str, Slot], str]:
    """An array of a standard module is laid out as that module has it, however it is read here."""
    slots, kind = {}, call.kind
    for slot in call.slots:
        holder = arrays[slot.name].kind
        role = slot.role
        if call.kind == "matmul":
            role, kind = "kernel", "dense"
        if call.kind == "addmm":
            kind = "dense"
        if call.kind in NORMS:
            role = NAMED.get(slot.name.rpartition(".")[2], role)
        whole = isinstance(slot.index, np.ndarray) and slot.index.size == prod(arrays[slot.name].shape)
        repeated = isinstance(slot.index, np.ndarray) and slot.index.size > prod(arrays[slot.name].shape)
        if repeated or (slot.index is not None and isinstance(slot.index, str)):
            slot = Slot(role, slot.name, arrays[slot.name].shape)
        if whole and holder.startswith(STANDARD):
            slot = Slot(role, slot.name, arrays[slot.name].shape)
        slots[role] = Slot(role, slot.name, slot.shape, slot.index)
    if kind not in CLASSES and kind != "prelu":
        kind = "custom"
    return slots, kind


def label(op: Op) -> tuple:
    """What two operations must share to be partners: the family and the sizes of the array that makes it."""
    family = op.family
    if family in ("lstm", "gru", "rnn"):
        kernel = op.slots.get("kernel") or op.slots.get("forward_kernel")
        assert kernel is not None
        return (family, tuple(sorted(kernel.shape)), op.facts.get("directions", 1))
    main = next(
        (op.slots[role] for role in ("kernel", "embeddings", "mean", "gamma", "beta") if role in op.slots),
        None,
    )
    if main is None:
        return (family, prod(next(iter(op.slots.values())).shape))
    if family in ("norm", "batch norm"):
        return (family, prod(main.shape))
    if op.facts.get("in_axes"):
        return (family, tuple(sorted(size for size in _matrix(op, main) if size > 1)))
    return (family, tuple(sorted(size for size in _kernel(op, main) if size > 1)))


def _kernel(op: Op, main: Slot) -> tuple[int, ...]:
    """A kernel's sizes; a depthwise one of Keras's has its channels and their multiples on two axes."""
    if op.kind == "depthwise_conv" and len(main.shape) > 2:
        return (*main.shape[:-2], main.shape[-2] * main.shape[-1])
    return main.shape


def _matrix(op: Op, kernel: Slot) -> tuple[int, int]:
    ins = op.facts["in_axes"]
    n = prod(kernel.shape[axis] for axis in ins)
    return n, prod(kernel.shape) // n


def colours(graph: list[Op], depth: int, towards: str) -> np.ndarray:
    """For each operation what it has upstream (``before``) or downstream (``after``), step by step.

    Returns:
        int64 ``(operations, depth + 1)``: equal where the neighbourhood to that depth is.
    """
    current = [hash(op.label) for op in graph]
    table = [current]
    for _ in range(depth):
        current = [
            hash((op.label, tuple(sorted(current[number] for number in getattr(op, towards)))))
            for op in graph
        ]
        table.append(current)
    return np.array(table, np.int64).T.reshape(len(graph), depth + 1)
