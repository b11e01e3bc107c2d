"""The map: which array of the Keras model is which of the PyTorch model's, how it lies there, and what is left over."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

from compare.pair import layouts, parts
from compare.pair.graph import Op
from compare.pair.layouts import Layout
from compare.pair.matching import Values, distance
from compare.pair.partners import Partner, partners
from compare.pair.records import Arrays, Held, Seen, Slot

NEUTRAL = {"gamma": 1.0, "variance": 1.0}  # what an array without a partner is set to; anything else to zero
NORMS = ("batch norm", "norm")
# what leaves every number of a flattened map in its place
SAME_PLACES = ("dropout", "identity", "relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid", "elu", "other",
               "batch_norm", "layer_norm")  # fmt: skip
Rows = dict[int, tuple[int, ...]]


@dataclass
class Binding:
    """An array of Keras's in one of PyTorch's.

    Attributes:
        part: where in PyTorch's array, flat; None for all of it.
        keras_place, torch_place: the layer and the module that read it.
    """

    keras: str
    torch: str
    layout: Layout
    why: str
    role: str = ""
    part: np.ndarray | None = None
    keras_place: str = ""
    torch_place: str = ""


@dataclass
class Left:
    """An array without a partner.

    Attributes:
        side: ``keras`` or ``torch``.
        reason: why it has none.
        cause: what it makes different, in the verdict's words; empty where it is harmless.
        candidates: what it might be, where that can't be decided.
    """

    side: str
    name: str
    reason: str
    cause: str = ""
    keras_place: str = ""
    torch_place: str = ""
    role: str = ""
    candidates: list[str] = field(default_factory=list)


@dataclass
class Map:
    """All arrays of both models, each with its partner or the reason why it has none."""

    bindings: list[Binding]
    left: list[Left]
    pairs: list[Partner]
    missing: list[Op] = field(default_factory=list)
    extra: list[Op] = field(default_factory=list)

    @property
    def undecided(self) -> list[Left]:
        """What can't be decided."""
        return [one for one in self.left if one.candidates]


def pair_up(keras: list[Op], torch: list[Op]) -> list[Partner]:
    """Pair the operations of the two models by structure."""
    pairs = partners(keras, torch)
    pairs += parts.fused(keras, torch, pairs)
    pairs += parts.cells(keras, torch, pairs)
    pairs += parts.joined(keras, torch, pairs)
    pairs += parts.gates(keras, torch, pairs)
    pairs += _by_size(keras, torch, pairs)
    return pairs + _shared(keras, torch, pairs)


def find(
    keras: list[Op],
    torch: list[Op],
    held: tuple[dict[str, Held], dict[str, Held]],
    pairs: list[Partner],
    rows: Rows,
) -> Map:
    """Find the map of pairs of operations.

    Args:
        held: all arrays of Keras's and PyTorch's model.
        rows: Keras operation -> (H, W, C) of a flattened map that PyTorch has in the order C, H, W.
    """
    bindings: list[Binding] = []
    left: list[Left] = []
    for pair in pairs:
        bound, rest = _bind(pair, rows)
        bindings += bound
        left += rest
    missing = [op for op in keras if all(op is not pair.keras for pair in pairs)]
    taken = {slot.name for pair in pairs for slot in pair.torch.slots.values()}
    extra = [op for op in torch if not taken & {slot.name for slot in op.slots.values()}]
    found = Map(bindings, left, pairs, missing, extra)
    _leave(found, held)
    return found


def _shared(keras: list[Op], torch: list[Op], pairs: list[Partner]) -> list[Partner]:
    """Pair what is one layer called several times in one model and several layers in the other."""
    found = []
    for op in torch:
        if any(op is pair.torch for pair in pairs):
            continue
        fits = [p for p in pairs if p.keras.label == op.label and len(p.keras.calls) > len(p.torch.calls)]
        if fits:
            found.append(Partner(fits[0].keras, op, "shared in Keras", []))
    for op in keras:
        if any(op is pair.keras for pair in pairs):
            continue
        fits = [p for p in pairs if p.torch.label == op.label and len(p.torch.calls) > len(p.keras.calls)]
        if fits:
            found.append(Partner(op, fits[0].torch, "shared in PyTorch", []))
    return found


def _by_size(keras: list[Op], torch: list[Op], pairs: list[Partner]) -> list[Partner]:
    """Pair what is written another way in the other framework, where only one has the size."""
    ours = [op for op in keras if all(op is not pair.keras for pair in pairs)]
    theirs = [op for op in torch if all(op is not pair.torch for pair in pairs)]
    found = []
    for op in ours:
        fits = [
            other for other in theirs if _sizes(other) == _sizes(op) and "custom" in (op.kind, other.kind)
        ]
        alike = [other for other in ours if _sizes(other) == _sizes(op)]
        if fits and len(fits) >= len(alike):
            found.append(
                Partner(
                    op,
                    fits[0],
                    "the only one of its size" if len(fits) == 1 else "the order of calls",
                    fits[1:],
                )
            )
            theirs.remove(fits[0])
            ours = [other for other in ours if other is not op]
    return found


def _sizes(op: Op) -> list[int]:
    return sorted(prod(slot.shape) for slot in op.slots.values())


def _bind(pair: Partner, rows: Rows) -> tuple[list[Binding], list[Left]]:
    keras, torch = pair.keras, pair.torch
    bindings, left = [], []
    taken: set[str] = set()
    for role, slot in keras.slots.items():
        found = _layouts(pair, role, slot, rows)
        for to, layout in found:
            target = torch.slots[to]
            part = _part(pair, target)
            taken.add(to)
            bindings.append(
                Binding(slot.name, target.name, layout, pair.why, role, part, keras.owner, torch.place)
            )
        if not found:
            cause = "bias" if role.endswith("bias") else "extra-parameter"
            reason = f"{torch.place or 'the module'} has no {role} of this shape"
            left.append(Left("keras", slot.name, reason, cause, keras.owner, torch.place, role))
    for role, slot in torch.slots.items():
        if role not in taken:
            plain = role == "bias" and "bias" not in keras.slots and torch.family in ("linear", "transposed")
            reason = f"{keras.owner} has no {role.replace('_', ' ')}"
            cause = "bias" if plain else "extra-parameter"
            left.append(Left("torch", slot.name, reason, cause, keras.owner, torch.place, role))
    return bindings, left


def _part(pair: Partner, target: Slot) -> np.ndarray | None:
    """Where in the whole array the elements are that a call reads."""
    index = target.index if isinstance(target.index, np.ndarray) else None
    if pair.rows is None:
        return index
    whole = np.arange(prod(target.shape)).reshape(target.shape) if index is None else index
    return whole[pair.rows]


def _layouts(pair: Partner, role: str, slot: Slot, rows: Rows) -> list[tuple[str, Layout]]:
    """Where an array goes: PyTorch's roles and the layouts there."""
    keras, torch = pair.keras, pair.torch
    if keras.family in ("lstm", "gru", "rnn"):
        return _recurrent(pair, role, slot, torch.slots)
    if keras.family == "array" or torch.kind == "custom":
        return _by_shape(role, slot, torch.slots)
    if role not in torch.slots:
        return []
    target = torch.slots[role].shape
    if pair.rows is not None:
        target = (len(pair.rows), *target[1:])
    if role == "kernel":
        layout = _kernel(pair, slot, target, rows)
    else:
        layout = (layouts.flat if role == "bias" else layouts.same)(slot.shape, target)
        if keras.family in NORMS:
            layout = layouts.moved(layout, rows.get(keras.number))
    return [] if layout is None else [(role, layout)]


def _kernel(pair: Partner, slot: Slot, target: tuple[int, ...], rows: Rows) -> Layout | None:
    keras, torch = pair.keras, pair.torch
    if keras.kind == "dense":
        turned = bool(torch.facts.get("rows_are_inputs"))
        return layouts.dense(slot.shape, target, keras.facts["in_axes"], turned, rows.get(keras.number))
    if torch.kind == "dense":  # a convolution of size one
        rank = len(slot.shape)
        return layouts.dense(slot.shape, target, list(range(rank - 1)), False, None)
    return layouts.conv(keras.kind, slot.shape, target)


def _recurrent(pair: Partner, role: str, slot: Slot, targets: dict[str, Slot]) -> list[tuple[str, Layout]]:
    kind = "lstm" if pair.keras_gates else pair.keras.kind  # an LSTM's lie alike in both
    units = slot.shape[-1] // parts.GATES[pair.keras.kind]
    gate = None if pair.gate is None else (pair.gate * units, (pair.gate + 1) * units)
    if not role.endswith("bias") or len(slot.shape) == 1:
        if role not in targets:
            return []
        found = layouts.gates(role, kind, slot.shape, targets[role].shape, None, gate)
        return [] if found is None else [(role, found)]
    second = role.replace("bias", "second_bias")
    made = []
    for row, to in enumerate((role, second)):
        if to in targets:
            layout = layouts.gates(role, kind, slot.shape, targets[to].shape, row, gate)
            made += [] if layout is None else [(to, layout)]
    return made


def _by_shape(role: str, slot: Slot, targets: dict[str, Slot]) -> list[tuple[str, Layout]]:
    fits = [(to, layouts.same(slot.shape, target.shape)) for to, target in targets.items()]
    found = [(to, layout) for to, layout in fits if layout is not None]
    return sorted(found, key=lambda one: one[0] != role)[:1]


def _leave(found: Map, held: tuple[dict[str, Held], dict[str, Held]]) -> None:
    """Name every array that no binding has."""
    for side, arrays, ops in (("keras", held[0], found.missing), ("torch", held[1], found.extra)):
        read = {slot.name: op for op in ops for slot in op.slots.values()}
        bound = {getattr(one, side) for one in found.bindings} | {
            one.name for one in found.left if one.side == side
        }
        for name, array in arrays.items():
            if name in bound or array.alias in bound:
                continue
            left = Left(side, name, "never called, harmless")
            if name in read:
                op = read[name]
                left.reason = f"no layer like {op.owner or op.kind} in the other model"
                left.cause = "missing-layer" if side == "keras" else "extra-layer"
                left.candidates = _candidates(op, found.extra) if side == "keras" else []
                left.keras_place, left.torch_place = (op.owner, "") if side == "keras" else ("", op.place)
            found.left.append(left)


def _candidates(op: Op, extra: list[Op]) -> list[str]:
    """What an array might be that has no partner of its shape: what else of its kind is without one."""
    families = (op.family, "linear", "array") if op.family in ("lstm", "gru", "rnn") else (op.family,)
    alike = [other for other in extra if other.family in families and op.family != "array"]
    return [slot.name for other in alike for slot in other.slots.values()]


def to_torch(found: Map, keras: Arrays, torch: Arrays) -> Arrays:
    """Put Keras's arrays where the map has them; what has no partner there is set so that it does nothing.

    Args:
        torch: PyTorch's arrays, in the dtype that is wanted; they stay as they are.
    """
    made = {name: array.copy() for name, array in torch.items()}
    for one in found.left:
        if one.side == "torch" and one.cause in ("bias", "extra-parameter"):
            made[one.name][...] = NEUTRAL.get(one.role, 0.0)
    for binding in found.bindings:
        target = made[binding.torch]
        values = binding.layout.apply(keras[binding.keras])
        if binding.part is None:
            target[...] = values
        else:
            target.reshape(-1)[binding.part.reshape(-1)] = values.reshape(-1)
    return made


def to_keras(found: Map, torch: Arrays, keras: Arrays, total: bool = False) -> Arrays:
    """Bring PyTorch's arrays (or their gradients, then ``total``) back into Keras's layout.

    Args:
        keras: arrays of Keras's shapes; they stay as they are.
        total: several copies of one array are added up, as its gradient is the sum of theirs.
    """
    made = {name: array.copy() for name, array in keras.items()}
    begun: set[str] = set()
    for binding in found.bindings:
        if binding.torch not in torch or binding.keras not in made:
            continue
        values = torch[binding.torch]
        flat = values.reshape(-1) if binding.part is None else values.reshape(-1)[binding.part.reshape(-1)]
        where = binding.layout.index(made[binding.keras].shape).reshape(-1)
        target = made[binding.keras].reshape(-1)
        if total and binding.keras not in begun:
            target[...] = 0
        begun.add(binding.keras)
        if total:
            np.add.at(target, where, flat)
        else:
            target[where] = flat
    return made


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
