"""Operations that are several in one framework and one in the other: fused projections, cells written out."""

from __future__ import annotations

from itertools import permutations
from math import prod

import numpy as np

from compare.pair.graph import Op
from compare.pair.partners import Partner
from compare.pair.records import Slot

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
INPUT = ("ih", "x2h", "i2h", "input", "wx", "w", "x")
STATE = ("hh", "h2h", "recurrent", "wh", "u", "h")


def fused(keras: list[Op], torch: list[Op], pairs: list[Partner]) -> list[Partner]:
    """Pair the projections of an attention with one of PyTorch's that computes them all."""
    ours = [op for op in keras if op.kind == "dense" and all(op is not pair.keras for pair in pairs)]
    theirs = [op for op in torch if op.kind == "dense" and all(op is not pair.torch for pair in pairs)]
    groups: dict[str, list[Op]] = {}
    for op in ours:
        groups.setdefault(op.owner, []).append(op)
    found = []
    for members in groups.values():
        sizes = [_matrix(op) for op in members]
        for other in theirs:
            shape = other.slots["kernel"].shape
            fits = len(members) in (2, 3) and len(shape) == 2 and all(n == shape[1] for n, _ in sizes)
            if fits and sum(m for _, m in sizes) == shape[0]:
                theirs.remove(other)
                found += _parts(members, other, [m for _, m in sizes])
                break
    return found


def _matrix(op: Op) -> tuple[int, int]:
    shape = op.slots["kernel"].shape
    n = prod(shape[axis] for axis in op.facts["in_axes"])
    return n, prod(shape) // n


def _parts(members: list[Op], other: Op, sizes: list[int]) -> list[Partner]:
    """One behind the other in the order of calls; other orders are for the values to decide."""
    choices = []
    for order in permutations(range(len(members))):
        starts, at = {}, 0
        for n in order:
            starts[n], at = at, at + sizes[n]
        choices.append([np.arange(starts[n], starts[n] + sizes[n]) for n in range(len(members))])
    heads = members[0].slots["kernel"].shape[1] if len(members[0].slots["kernel"].shape) == 3 else 1
    if heads > 1 and len(set(sizes)) == 1:
        rows = np.arange(sum(sizes)).reshape(heads, len(members), -1)
        choices.insert(1, [rows[:, n].reshape(-1) for n in range(len(members))])
    made = []
    for n, op in enumerate(members):
        options = [{"rows": choice[n]} for choice in choices]
        made.append(Partner(op, other, "a part of one projection", [], options[0]["rows"], options=options))
    return made


def cells(keras: list[Op], torch: list[Op], pairs: list[Partner]) -> list[Partner]:
    """Pair a recurrent layer with the two products of a cell that is written out."""
    found = []
    used: list[Op] = []
    for op in keras:
        if op.family not in GATES or any(op is pair.keras for pair in pairs) or "kernel" not in op.slots:
            continue
        free = [
            o for o in torch if o.kind == "dense" and all(o is not p.torch for p in pairs) and o not in used
        ]
        ins, wide = op.slots["kernel"].shape
        inputs = [o for o in free if o.slots["kernel"].shape == (wide, ins)]
        states = [o for o in free if o.slots["kernel"].shape == (wide, wide // GATES[op.family])]
        chosen = [(a, b) for a in inputs for b in states if a is not b and _near(a, b)]
        if not chosen:
            continue
        first, second = max(
            chosen, key=lambda two: (_named(two[0], INPUT) + _named(two[1], STATE), -two[0].number)
        )
        used += [first, second]
        options = [{"keras_gates": False}, {"keras_gates": True}]
        found.append(Partner(op, _cell(op, first, second), "a cell written out", [], options=options))
    return found


def joined(keras: list[Op], torch: list[Op], pairs: list[Partner]) -> list[Partner]:
    """Pair a recurrent layer with the one product of a cell that is written out on input and state side by side."""
    found: list[Partner] = []
    for op in _open(keras, pairs):
        ins, wide = op.slots["kernel"].shape
        free = [
            o for o in _products(torch, pairs + found) if o.slots["kernel"].shape == (wide, ins + _units(op))
        ]
        if free:
            first, second = (_split(op, free[0], ins, turned) for turned in (False, True))
            options = [{"torch": o, "keras_gates": own} for o in (first, second) for own in (False, True)]
            found.append(Partner(op, first, "a cell written out", [], options=options))
    return found


def _split(keras: Op, other: Op, ins: int, turned: bool) -> Op:
    """An operation whose two kernels lie side by side in one array, the state's first if ``turned``."""
    slot = other.slots["kernel"]
    whole = np.arange(prod(slot.shape)).reshape(slot.shape)
    units = slot.shape[1] - ins
    columns = (whole[:, units:], whole[:, :units]) if turned else (whole[:, :ins], whole[:, ins:])
    slots = {
        role: Slot(role, slot.name, part.shape, part)
        for role, part in zip(("kernel", "recurrent_kernel"), columns, strict=True)
    }
    slots |= {role: one for role, one in other.slots.items() if role == "bias"}
    return Op(other.number, keras.kind, other.place, slots, other.calls, other.facts, keras.label)


def convolved(keras: list[Op], torch: list[Op]) -> list[Partner]:
    """Pair a recurrent layer of convolutions with the one or two convolutions of a cell that is written out."""
    layers: dict[int, dict[str, Op]] = {}
    for op in keras:
        if op.kind == "custom" and len(op.slots) == 1:
            layers.setdefault(op.calls[0].index, {}).update(dict.fromkeys(op.slots, op))
    found: list[Partner] = []
    for members in layers.values():
        if not {"kernel", "recurrent_kernel"} <= set(members):
            continue
        own = members["kernel"]
        slots = {role: op.slots[role] for role, op in members.items()}
        one = Op(own.number, own.kind, own.place, slots, own.calls, own.facts, own.label)
        (*_, ins, wide), (*_, units, _) = slots["kernel"].shape, slots["recurrent_kernel"].shape
        used = {slot.name for pair in found for slot in pair.torch.slots.values()}
        free = [op for op in torch if op.kind == "conv" and op.slots["kernel"].name not in used]
        sizes = {op.number: op.slots["kernel"].shape[:2] for op in free}
        both = [op for op in free if sizes[op.number] == (wide, ins + units)]
        chosen = [
            (a, b)
            for a in free
            for b in free
            if a is not b
            and (sizes[a.number], sizes[b.number]) == ((wide, ins), (wide, units))
            and _near(a, b)
        ]
        if chosen:
            first, second = max(chosen, key=lambda two: _named(two[0], INPUT) + _named(two[1], STATE))
            found.append(Partner(one, _cell(one, first, second), "a cell written out", []))
        elif both:
            options = [{"torch": _split(one, both[0], ins, turned)} for turned in (False, True)]
            found.append(Partner(one, options[0]["torch"], "a cell written out", [], options=options))
    return found


def gates(keras: list[Op], torch: list[Op], pairs: list[Partner]) -> list[Partner]:
    """Pair a recurrent layer with a cell whose gates have a product each; which is which, the values decide."""
    found: list[Partner] = []
    for op in _open(keras, pairs):
        ins, count, units = op.slots["kernel"].shape[0], GATES[op.family], _units(op)
        modules: dict[str, list[Op]] = {}
        for other in _products(torch, pairs + found):
            modules.setdefault(other.place.rpartition(".")[0], []).append(other)
        for members in modules.values():
            chosen = _gate_products(members, ins, count, units)
            if chosen:
                cells_ = [_cell(op, *two) for two in chosen]
                for n, cell in enumerate(cells_):
                    others = [one for one in cells_ if one is not cell]
                    found.append(Partner(op, cell, "a gate of a cell written out", others, gate=n))
                break
    return found


def _gate_products(members: list[Op], ins: int, count: int, units: int) -> list[tuple[Op, Op]]:
    """For each gate the product of the input and that of the state, in the order of calls."""
    inputs = [o for o in members if o.slots["kernel"].shape == (units, ins)]
    states = [o for o in members if o.slots["kernel"].shape == (units, units)]
    if ins == units:
        states = [o for o in states if _named(o, STATE)]
        inputs = [o for o in inputs if o not in states]
    if count < 2 or len(inputs) != count or len(states) != count:
        return []
    found = []
    for one in inputs:
        gate = _gate_word(one)
        like = next((o for o in states if gate and _gate_word(o) == gate), states[0])
        states.remove(like)
        found.append((one, like))
    return found


def _gate_word(op: Op) -> str:
    """The letter that names a gate, at the end of its product's name."""
    name = op.slots["kernel"].name.lower().replace("weight", "").strip("._").rpartition(".")[2]
    return name[-1:]


def _open(keras: list[Op], pairs: list[Partner]) -> list[Op]:
    """Recurrent layers without a partner."""
    free = [op for op in keras if all(op is not pair.keras for pair in pairs)]
    return [op for op in free if op.family in GATES and "kernel" in op.slots]


def _products(torch: list[Op], pairs: list[Partner]) -> list[Op]:
    """Products without a partner."""
    used = {slot.name for pair in pairs for slot in pair.torch.slots.values()}
    return [op for op in torch if op.kind == "dense" and op.slots["kernel"].name not in used]


def _units(op: Op) -> int:
    return op.slots["kernel"].shape[1] // GATES[op.family]


def _near(a: Op, b: Op) -> bool:
    """Whether two are of one module."""
    return a.place.rpartition(".")[0] == b.place.rpartition(".")[0] or a.place == b.place


def _named(op: Op, words: tuple[str, ...]) -> int:
    last = op.slots["kernel"].name.lower().replace("weight", "").strip("._").rpartition(".")[2]
    return int(any(word in last for word in words[:-1]) or last == words[-1])


def _cell(keras: Op, first: Op, second: Op) -> Op:
    """One operation out of both products."""
    slots = {"kernel": first.slots["kernel"], "recurrent_kernel": second.slots["kernel"]}
    for op in (first, second):
        if "bias" in op.slots:
            slots["second_bias" if "bias" in slots else "bias"] = op.slots["bias"]
    slots = {role: Slot(role, slot.name, slot.shape, slot.index) for role, slot in slots.items()}
    place = first.place if first.place == second.place else first.place.rpartition(".")[0]
    calls = sorted([*first.calls, *second.calls], key=lambda call: call.index)
    return Op(first.number, keras.kind, place, slots, calls, first.facts, keras.label)
