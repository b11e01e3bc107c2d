"""The map: which array of the Keras model is which of the PyTorch model's, how it lies there, and what is left over."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from compare.pair import layouts, parts
from compare.pair.arrays import Binding, Left, Map
from compare.pair.flattened import NORMS, Rows
from compare.pair.graph import NAMED, Op
from compare.pair.layouts import Layout
from compare.pair.partners import Partner, partners
from compare.pair.records import Held, Slot


def pair_up(keras: list[Op], torch: list[Op]) -> list[Partner]:
    """Pair the operations of the two models by structure."""
    pairs = parts.convolved(keras, torch)
    read = {name for pair in pairs for name in _read(pair)}
    pairs += [one for one in partners(keras, torch) if not read & _read(one)]
    pairs += parts.fused(keras, torch, pairs)
    pairs += parts.cells(keras, torch, pairs)
    pairs += parts.joined(keras, torch, pairs)
    pairs += parts.gates(keras, torch, pairs)
    for sizes in (_sizes, _largest):
        pairs += _by_size(_layers(keras, pairs), torch, pairs, sizes)
    pairs += _by_size(keras, torch, pairs, _sizes)
    pairs += _shared(keras, torch, pairs)
    for pair in pairs:
        if _either_way(pair):
            pair.options = [{"turned": False}, {"turned": True}]
        elif _square(pair):
            # a person's own layer has (in, out), as Keras's do; PyTorch's modules (out, in)
            first = pair.torch.kind == "dense" and not pair.torch.facts.get("rows_are_inputs")
            pair.turned, pair.options = first, [{"turned": first}, {"turned": not first}]
    return pairs


def _read(pair: Partner) -> set[str]:
    """The arrays that two operations read."""
    return {slot.name for op in (pair.keras, pair.torch) for slot in op.slots.values()}


def _either_way(pair: Partner) -> bool:
    """Whether a normalisation's gamma is as long on every axis: its shape doesn't say which are the channels."""
    shapes = [slot.shape for op in (pair.keras, pair.torch) for slot in op.slots.values()]
    same = len(set(shapes)) == 1 and len(shapes[0]) > 2 and len(set(shapes[0])) == 1
    return pair.keras.family == pair.torch.family == "norm" and same


def _square(pair: Partner) -> bool:
    """Whether a matrix of a person's own has as many rows as columns: its shape doesn't say which are the inputs."""
    if "custom" not in (pair.keras.kind, pair.torch.kind):
        return False
    matrices = [slot.shape for slot in pair.keras.slots.values() if len(slot.shape) == 2]
    return len(matrices) == 1 and matrices[0][0] == matrices[0][1] > 1


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
        rows: vectors with a flattened map that PyTorch has in the order C, H, W.
    """
    bindings: list[Binding] = []
    left: list[Left] = []
    for pair in pairs:
        bound, rest = _bind(pair, rows)
        bindings += bound
        left += rest
    read = {slot.name for pair in pairs for slot in pair.keras.slots.values()}
    missing = [op for op in keras if not read & {slot.name for slot in op.slots.values()}]
    taken = {slot.name for pair in pairs for slot in pair.torch.slots.values()}
    extra = [op for op in torch if not taken & {slot.name for slot in op.slots.values()}]
    found = Map(bindings, left, pairs, missing, extra, rows)
    _leave(found, held)
    return found


def _shared(keras: list[Op], torch: list[Op], pairs: list[Partner]) -> list[Partner]:
    """Pair what is one layer called several times in one model and several layers in the other."""
    found = []
    read = {name for pair in pairs for name in _read(pair)}
    for op in torch:
        if read & {slot.name for slot in op.slots.values()}:
            continue
        fits = [p for p in pairs if p.keras.label == op.label and len(p.keras.calls) > len(p.torch.calls)]
        if fits:
            found.append(Partner(fits[0].keras, op, "shared in Keras", []))
    for op in keras:
        if read & {slot.name for slot in op.slots.values()}:
            continue
        fits = [p for p in pairs if p.torch.label == op.label and len(p.torch.calls) > len(p.keras.calls)]
        if fits:
            found.append(Partner(op, fits[0].torch, "shared in PyTorch", []))
    return found


def _by_size(
    keras: list[Op], torch: list[Op], pairs: list[Partner], sizes: Callable[[Op], list[int]]
) -> list[Partner]:
    """Pair what is written another way in the other framework, where only one has the size."""
    read = {slot.name for pair in pairs for slot in pair.keras.slots.values()}
    ours = [op for op in keras if not read & {slot.name for slot in op.slots.values()}]
    theirs = [op for op in torch if all(op is not pair.torch for pair in pairs)]
    found = []
    for op in ours:
        fits = [other for other in theirs if sizes(other) == sizes(op) and "custom" in (op.kind, other.kind)]
        alike = [other for other in ours if sizes(other) == sizes(op)]
        # one that is called several times may be several in Keras
        if fits and sum(len(other.calls) for other in fits) >= len(alike):
            why = "the only one of its size" if len(fits) == 1 else "the order of calls"
            found.append(Partner(op, fits[0], why, fits[1:]))
            if len(fits) > 1 or len(alike) == 1:
                theirs.remove(fits[0])
            ours = [other for other in ours if other is not op]
    return found


def _layers(keras: list[Op], pairs: list[Partner]) -> list[Op]:
    """The layers of a person's own that read several arrays, each as one operation."""
    taken = {slot.name for pair in pairs for slot in pair.keras.slots.values()}
    layers: dict[int, list[Op]] = {}
    for op in keras:
        if op.kind == "custom" and not taken & {slot.name for slot in op.slots.values()}:
            layers.setdefault(op.calls[0].index, []).append(op)
    made = []
    for members in layers.values():
        slots = {role: slot for op in members for role, slot in op.slots.items()}
        shapes = [slot.shape for slot in slots.values()]
        if len(set(shapes)) == 1:
            slots = {NAMED.get(role, role): slot for role, slot in slots.items()}
        elif sorted(map(len, shapes))[:2] == [1, 2] and len(shapes) == 2:
            slots = {("bias" if len(slot.shape) == 1 else role): slot for role, slot in slots.items()}
        first = members[0]
        # of two arrays of one shape nothing but a name that both frameworks have says which is which
        if len(members) == len(slots) > 1 and (
            len(set(shapes)) == len(shapes) or set(slots) <= set(NAMED.values())
        ):
            made.append(Op(first.number, "custom", first.place, slots, first.calls, first.facts, first.label))
    return made


def _largest(op: Op) -> list[int]:
    """The size of what makes a layer, where one of the two has a bias more."""
    matrices = [prod(slot.shape) for slot in op.slots.values() if len(slot.shape) > 1]
    return matrices if len(matrices) == 1 else [-1, id(op)]  # like no other


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
        return _recurrent(pair, role, slot, rows)
    if keras.family == "array" or torch.kind == "custom":
        return _by_shape(pair, role, slot)
    if role not in torch.slots:
        return []
    target = torch.slots[role].shape
    if pair.rows is not None:
        target = (len(pair.rows), *target[1:])
    if role == "kernel":
        layout = _kernel(pair, slot, target, rows)
    else:
        layout = (layouts.flat if role == "bias" else layouts.same)(slot.shape, target)
        if pair.turned:
            layout = layouts.channels_first(slot.shape)
        if keras.family in NORMS:
            orders = [rows[at] for at in ((keras.number, "in"), (keras.number, "out")) if at in rows]
            layout = layouts.moved(layout, orders[0] if orders else None)
        elif role == "bias":
            layout = layouts.moved(layout, rows.get((keras.number, "out")))
    return [] if layout is None else [(role, layout)]


def _kernel(pair: Partner, slot: Slot, target: tuple[int, ...], rows: Rows) -> Layout | None:
    keras, torch = pair.keras, pair.torch
    if keras.kind == "dense":
        turned = bool(torch.facts.get("rows_are_inputs"))
        orders = (rows.get((keras.number, end)) for end in ("in", "out"))
        return layouts.dense(slot.shape, target, keras.facts["in_axes"], turned, *orders)
    if torch.kind == "dense":  # a convolution of size one
        rank = len(slot.shape)
        return layouts.dense(slot.shape, target, list(range(rank - 1)), False, None)
    return layouts.conv(keras.kind, slot.shape, target)


def _recurrent(pair: Partner, role: str, slot: Slot, rows: Rows) -> list[tuple[str, Layout]]:
    targets = pair.torch.slots
    kind = "lstm" if pair.keras_gates else pair.keras.kind  # an LSTM's lie alike in both
    units = slot.shape[-1] // parts.GATES[pair.keras.kind]
    gate = None if pair.gate is None else (pair.gate * units, (pair.gate + 1) * units)
    if not role.endswith("bias") or len(slot.shape) == 1:
        if role not in targets:
            return []
        found = layouts.gates(role, kind, slot.shape, targets[role].shape, None, gate)
        if role in ("kernel", "forward_kernel", "backward_kernel"):
            found = layouts.turned(found, rows.get((pair.keras.number, "in")))
        return [] if found is None else [(role, found)]
    second = role.replace("bias", "second_bias")
    made = []
    for row, to in enumerate((role, second)):
        if to in targets:
            layout = layouts.gates(role, kind, slot.shape, targets[to].shape, row, gate)
            made += [] if layout is None else [(to, layout)]
    return made


def _by_shape(pair: Partner, role: str, slot: Slot) -> list[tuple[str, Layout]]:
    fits = []
    for to, target in pair.torch.slots.items():
        layout = layouts.same(slot.shape, target.shape)
        if pair.turned and len(slot.shape) == 2 and slot.shape == target.shape:
            layout = layouts.channels_first(slot.shape)
        fits.append(
            (
                to,
                layout
                or (
                    layouts.conv(pair.torch.kind, slot.shape, target.shape) if to.endswith("kernel") else None
                ),
            )
        )
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
