"""What takes several values: their order, what is done with them, and the number that stands beside one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module, number, path
from compare.pair.matching import arrangements
from compare.pair.records import Call

COMBINED = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "average")
MERGES = {"sum": "add", "mul": "multiply", "ave": "average"}  # of a recurrent layer in both directions
CLOSE = 1e-6
MOST = 4  # values whose orders are tried
SMALL = 0.1  # a number that is added and below this is there to keep a root or a quotient finite


def orders(scene: Scene) -> Iterator[Trial]:
    """Exchange the values that one of PyTorch's calls takes."""
    kind = scene.call.kind
    if kind not in ("concat", "divide", "matmul"):
        return
    for other in scene.having(kind):
        for order in _other_orders(len(other.inputs)):
            edit = {"call": other.index, "do": "exchange", "order": list(order)}
            name = other.facts.get("function", other.kind)
            text = f"{name} takes the same values in another order than Keras's {scene.call.owner}"
            code = f"# {name} in {path(other.place)}: its values in the order {list(order)}"
            yield Trial("unknown", [edit], module(other), text, code)


def _other_orders(count: int) -> list[tuple[int, ...]]:
    """All orders of so many values but the one that they are in; none of too many."""
    return list(permutations(range(count)))[1:] if count <= MOST else []


def _share(scene: Scene) -> Iterator[Trial]:
    """A sum of Keras's in which one value has another factor than in PyTorch."""
    wanted = scene.keras.values.get(scene.call.outputs[0]) if scene.call.outputs else None
    if wanted is None or scene.call.kind not in ("between", "add", "custom", "other"):
        return
    for other in scene.having("multiply", "divide"):
        value, given = other.facts.get("other"), scene.input(other)
        totals = scene.torch.users.get(other.outputs[0], [])
        if not isinstance(value, (int, float)) or given is None or len(other.inputs) != 1 or not totals:
            continue
        total, made = scene.torch.values.get(totals[0].outputs[0]), scene.torch.values[other.outputs[0]]
        if (
            totals[0].kind != "add"
            or total is None
            or total.shape != given.shape
            or total.size != wanted.size
        ):
            continue
        for axes in arrangements(wanted.shape, total.shape):
            turned = wanted.transpose(axes)
            if turned.shape != total.shape:
                continue
            left = turned - (total - made)
            factor = float(np.vdot(given, left)) / float(np.vdot(given, given) or 1.0)
            if factor and abs(factor - 1) > CLOSE and np.allclose(left, factor * given, rtol=1e-6, atol=1e-9):
                text = f"{scene.call.owner} takes {number(factor)} of a value in Keras"
                text += f"; PyTorch: {other.kind} by {number(float(value))}"
                # the number as a person wrote it, then as it is: Keras may have rounded it
                for share in (float(f"{factor:.7g}"), factor):
                    own = share if other.kind == "multiply" else 1 / share
                    edit = {"call": other.index, "do": "set", "arguments": {"other": own}}
                    code = f"{number(own)}  # in {path(other.place)}'s forward"
                    yield Trial("scale", [edit], module(other), text, code, scene.call.owner)


def another(scene: Scene) -> Iterator[Trial]:
    """Give one of PyTorch's operations the values that Keras's takes, where one of them is another."""
    result = scene.keras.values.get(scene.call.outputs[0]) if scene.call.outputs else None
    if scene.call.kind not in COMBINED or len(scene.sources) != 2 or result is None:
        return
    wanted = [match.torch for match in scene.sources]
    for other in scene.having(scene.call.kind):
        own = scene.torch.values.get(other.outputs[0])
        alone = [name for name in other.inputs if not any(_equal(scene, name, one) for one in wanted)]
        missing = [name for name in wanted if not any(_equal(scene, name, one) for one in other.inputs)]
        axes = scene.sources[0].axes
        if own is None or len(alone) != 1 or len(missing) != 1 or len(axes) != result.ndim:
            continue
        array = result.transpose(np.argsort(axes))
        if array.shape != own.shape:
            continue
        edit = {"call": other.index, "do": "after", "name": "value", "options": {"array": array}}
        behind, before = (_given(scene, name) for name in (alone[0], missing[0]))
        cause = "unknown"
        if missing[0] in _inputs(scene, alone[0]) or alone[0] in _inputs(scene, missing[0]):
            cause = "extra-layer" if missing[0] in _inputs(scene, alone[0]) else "missing-layer"
        text = f"Keras's {scene.call.owner} takes {before}, PyTorch's {module(other)} takes {behind} for it"
        code = f"# {module(other)}: {before} for {behind}"
        yield Trial(cause, [edit], module(other), text, code, scene.call.owner)


def _equal(scene: Scene, name: str, other: str) -> bool:
    a, b = (scene.torch.values.get(one) for one in (name, other))
    if a is None or b is None or a.shape != b.shape:
        return False
    return name == other or bool(np.allclose(a, b, rtol=1e-9, atol=1e-12))


def _inputs(scene: Scene, name: str) -> list[str]:
    maker = scene.torch.maker.get(name)
    return maker.inputs if maker is not None else []


def _given(scene: Scene, name: str) -> str:
    maker = scene.torch.maker.get(name)
    return f"what {module(maker)} gives" if maker is not None else "the input"


def parts(scene: Scene) -> Iterator[Trial]:
    """Take what one of PyTorch's calls splits a value into in another order."""
    near = [match.torch for match in scene.sources]
    splits = [c for c in scene.torch.calls if c.kind == "split" and any(n in c.outputs for n in near)]
    for call in splits[:1]:
        for order in _other_orders(len(call.outputs)):
            edit = {"call": call.index, "do": "parts", "order": list(order)}
            name = call.facts.get("function", call.kind)
            text = f"what {name} gives is taken in another order than Keras's {scene.call.owner} takes it"
            code = f"# {name} in {path(call.place)}: its parts in the order {list(order)}"
            yield Trial("unknown", [edit], module(call), text, code)


def exchanged(scene: Scene) -> Iterator[Trial]:
    """Exchange what two layers give to one that takes both, such as queries and keys."""
    made: dict[str, tuple[str, Call]] = {}
    for name in scene.call.inputs:
        match, layer = scene.matched.get(name), scene.keras.maker.get(name)
        maker = scene.torch.maker.get(match.torch) if match is not None else None
        if (
            match is not None
            and maker is not None
            and layer is not None
            and (layer.slots or layer.facts.get("fused"))
        ):
            made[layer.place] = (match.torch, maker)
    for (one, (first, a)), (other, (second, b)) in combinations(list(made.items())[:MOST], 2):
        arrays = [scene.torch.values[name] for name in (first, second)]
        if a is b or arrays[0].shape != arrays[1].shape or np.array_equal(arrays[0], arrays[1]):
            continue
        edits = [
            {"call": call.index, "do": "after", "name": "value", "options": {"array": array}}
            for call, array in ((a, arrays[1]), (b, arrays[0]))
        ]
        here, there = (_layer(scene, call) for call in (a, b))
        text = f"PyTorch takes what {one} gives in Keras for what {other} gives, and the other way round"
        code = f"a, b = b, a  # what {path(here.place)} and {path(there.place)} return"
        if here.place == there.place:
            text += ": Keras's call has the order (query, value, key), PyTorch's (query, key, value)"
            code = f"{path(here.place)}(query, key, value)"
        cause = "kernel-layout" if scene.call.kind == "attention" else "unknown"
        yield Trial(cause, edits, module(here), text, code, scene.call.owner)


def _layer(scene: Scene, call: Call) -> Call:
    """The call that reads arrays, before what only changes its result's shape."""
    while not call.slots and len(call.inputs) == 1 and call.inputs[0] in scene.torch.maker:
        call = scene.torch.maker[call.inputs[0]]
    return call


def combined(scene: Scene) -> Iterator[Trial]:
    """Do with two values what Keras does."""
    kind = MERGES.get(scene.call.facts.get("merge", ""), scene.call.kind)
    if kind not in COMBINED:
        return
    for other in scene.having(*COMBINED):
        if len(other.inputs) != 2 or other.kind == kind:
            continue
        edit = {"call": other.index, "do": "function", "name": "combine", "options": {"kind": kind}}
        text = f"Keras's {scene.call.owner} takes the {kind} of two values, PyTorch the {other.kind}"
        yield Trial("unknown", [edit], module(other), text, f"torch.{kind}(a, b)", scene.call.owner)


def numbers(scene: Scene) -> Iterator[Trial]:
    """Give one of PyTorch's operations Keras's number."""
    yield from _share(scene)
    own, kind = scene.call.facts.get("other"), scene.call.kind
    if not isinstance(own, float) or kind not in ("add", "subtract", "multiply", "divide"):
        return
    for other in list(scene.having(kind))[:3]:
        value = other.facts.get("other")
        if not isinstance(value, (int, float)) or value == own or len(other.inputs) != 1:
            continue
        small = kind == "add" and max(abs(own), abs(value)) < SMALL
        cause = "epsilon" if small else "input-scale" if scene.at_input else "scale"
        edit = {"call": other.index, "do": "set", "arguments": {"other": own}}
        text = f"{kind} by {number(own)} in Keras, by {number(float(value))} in PyTorch"
        yield Trial(cause, [edit], module(other), text, f"{number(own)}  # in {path(other.place)}'s forward")
