"""The order in which axes are flattened, and the axis that something is taken along."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import prod

from compare.pair.causes.trial import Scene, Trial, module, moved, path
from compare.pair.records import Call

RESHAPES = ("flatten", "reshape", "permute", "transpose")


def reshaping(scene: Scene) -> str:
    """Keras's layer that reshapes what departs, where another one is the first to show it."""
    maker = scene.keras.maker.get(scene.call.inputs[0]) if scene.call.inputs else None
    own = scene.call.kind in RESHAPES or maker is None or maker.kind not in RESHAPES
    return "" if own or maker is None else maker.owner


def orders(scene: Scene) -> Iterator[Trial]:
    """Move the channels last before what is reshaped, as they lie in Keras."""
    layer = reshaping(scene)
    for call in scene.region[:10]:
        if call.kind not in ("flatten", "reshape"):
            continue
        before = scene.input(call)
        if before is None or before.ndim < 3:
            continue
        shape = call.facts["shape"][1:]
        text = "Keras reshapes with the channels last, PyTorch with the channels first"
        # the channels moved last are what Keras has: that order before all others
        for order in sorted(
            permutations(range(1, before.ndim)), key=lambda one: one != (*range(2, before.ndim), 1)
        ):
            if order == tuple(range(1, before.ndim)) or before.ndim > 5:
                continue
            if prod(shape) != prod(before.shape[1:]):
                continue
            made = {"dims": [0, *order], "shape": list(shape)}
            edit = {"call": call.index, "do": "function", "name": "permute_reshape", "options": made}
            code = (
                f"x = x.permute{(0, *order)}  # before {call.facts['function']} in {call.place or 'forward'}"
            )
            yield Trial("flatten-order", [edit], module(call), text, code, layer)
            turned = {**edit, "options": {**made, "swap": True}}
            if len(shape) == 2 and shape[0] == shape[1]:
                yield Trial("flatten-order", [turned], module(call), text, code, layer)
    yield from _together(scene, layer)
    yield from _moves(scene)


def _together(scene: Scene, layer: str) -> Iterator[Trial]:
    """The channels moved last before every reshape of one place: a head that is called on several maps."""
    groups: dict[tuple, list[tuple[Call, int]]] = {}
    for call in scene.region[:20]:
        before = scene.input(call)
        if call.kind in ("flatten", "reshape") and before is not None and 3 <= before.ndim <= 5:
            shape = call.facts["shape"]
            # as many numbers a row for each, over as many places as its map has
            groups.setdefault((call.place, before.ndim, *shape[2:]), []).append((call, before.ndim))
    for members in (group for group in groups.values() if len(group) > 1):
        edits = []
        order = [0, *range(2, members[0][1]), 1]
        for call, _ in members:
            made = {"dims": order, "shape": list(call.facts["shape"][1:])}
            edits.append({"call": call.index, "do": "function", "name": "permute_reshape", "options": made})
        call = members[0][0]
        text = f"Keras reshapes with the channels last, PyTorch with the channels first, {len(members)} times"
        code = f"x = x.permute{tuple(order)}  # before {call.facts['function']} in {call.place or 'forward'}"
        yield Trial("flatten-order", edits, module(call), text, code, layer)


def _moves(scene: Scene) -> Iterator[Trial]:
    """An exchange of axes that is left out, or one too many."""
    for call in scene.region[:6]:
        shape = call.facts.get("shape", [])
        if call.kind in ("permute", "transpose") and scene.input(call) is not None:
            before = scene.input(call)
            assert before is not None
            if list(before.shape) == list(shape) or prod(shape) != before.size:
                edit = {"call": call.index, "do": "identity"}
                name = call.facts.get("function", call.kind)
                code = f"# without {name} at {module(call)}"
                yield Trial(
                    "flatten-order", [edit], module(call), "PyTorch exchanges axes, Keras doesn't", code
                )


def axes(scene: Scene) -> Iterator[Trial]:
    """Take a softmax, a mean or a concatenation along Keras's axis."""
    call = scene.call
    if call.kind in ("softmax", "log_softmax", "mean", "amax", "concat", "sum"):
        for other in scene.having(call.kind, "max", "amax"):
            yield from _along(scene, other)
    if call.kind == "attention" or call.type == "AdditiveAttention":
        for other in scene.having("softmax"):
            yield from _along(scene, other)
    if call.kind == "normalize" or call.type == "UnitNormalization":
        for other in scene.having("normalize"):
            yield from _along(scene, other)


def _along(scene: Scene, other) -> Iterator[Trial]:
    rank = len(scene.torch.values[other.inputs[0]].shape) if other.inputs[0] in scene.torch.values else 0
    current = other.facts.get("dim")
    for axis in range(rank):
        if axis == current or (isinstance(current, int) and axis == current % max(rank, 1)):
            continue
        edit = {"call": other.index, "do": "set", "arguments": {"dim": axis}}
        text = f"{other.kind} along axis {axis} as Keras has it; PyTorch has {current}"
        yield Trial(
            "axis", [edit], module(other), text, f"dim={axis}  # of {other.kind} at {path(other.place)}"
        )


__all__ = ["axes", "moved", "orders", "reshaping"]
