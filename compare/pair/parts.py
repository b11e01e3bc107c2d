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
