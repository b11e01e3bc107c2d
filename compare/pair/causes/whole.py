"""A layer that only one of the models has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from compare.pair.causes.trial import Scene, Trial, instead, module, number, path

STRUCTURE = ("flatten", "reshape", "permute", "transpose", "getitem", "split", "concat", "matmul")


def extra(scene: Scene) -> Iterator[Trial]:
    """Leave out a call of PyTorch's that keeps the shape."""
    for call in scene.first(8):
        before = scene.input(call)
        if (
            before is None
            or list(before.shape) != list(call.facts.get("shape", []))
            or call.kind in STRUCTURE
        ):
            continue
        edit = {"call": call.index, "do": "identity"}
        cause = "input-scale" if call.inputs[0] in scene.torch.inputs and not call.slots else "extra-layer"
        text = f"PyTorch has {call.kind} there, Keras nothing"
        layer = ""
        if call.kind in ("multiply", "divide") and isinstance(call.facts.get("other"), (int, float)):
            # the layer whose result is multiplied, of those that Keras's call takes
            own = [
                n
                for n in scene.call.inputs
                if n in scene.matched and scene.matched[n].torch == call.inputs[0]
            ]
            made = scene.keras.maker.get((own or scene.call.inputs or [""])[0])
            cause, layer = ("scale", made.owner) if made is not None else ("input-scale", "")
            text = f"PyTorch has {call.kind} by {call.facts['other']:g} there, Keras nothing"
        yield Trial(cause, [edit], module(call), text, instead(call, "nn.Identity()"), layer)


def arrays(scene: Scene) -> Iterator[Trial]:
    """Add Keras's bias, gamma or beta where PyTorch's layer has none."""
    pair, other = scene.pair, scene.partner
    own = pair is not None and any(scene.call.index == c.index for c in pair.keras.calls)
    # a border of zeros before the layer is no value of PyTorch's, which has it in the layer
    if pair is None or other is None or not other.outputs or not (own or scene.call.kind == "pad"):
        return
    owner, edits = pair.keras.calls[0].owner, []
    for role, name in (("bias", "offset"), ("gamma", "scale"), ("beta", "offset")):
        slot = pair.keras.slots.get(role)
        if slot is None or role in pair.torch.slots:
            continue
        values = scene.arrays[slot.name].reshape(-1).tolist()
        last = other.kind in ("dense", "matmul", "layer_norm", "rms_norm", "embedding")
        edit = {"call": other.index, "do": "after", "name": "affine", "options": {name: values, "last": last}}
        cause = "bias" if role == "bias" else "extra-parameter"
        text = f"Keras's {owner} has a {role}, PyTorch's {module(other)} none"
        code = f"{path(other.place)} = ...(bias=True)" if role == "bias" else f"{path(other.place)}: affine"
        edits.append(edit)
        yield Trial(cause, [edit], module(other), text, code, owner)
    if len(edits) == 2:
        text = f"Keras's {owner} has a gamma and a beta, PyTorch's {module(other)} neither"
        yield Trial("extra-parameter", edits, module(other), text, f"{path(other.place)}: affine", owner)


def missing(scene: Scene) -> Iterator[Trial]:
    """Put Keras's own result where PyTorch goes on from what went into the layer."""
    if scene.pair is not None and any(scene.call.index == c.index for c in scene.pair.keras.calls):
        return
    result = scene.keras.values.get(scene.call.outputs[0])
    if result is None or not scene.sources:
        return
    for match in scene.sources[:2]:
        maker = scene.torch.maker.get(match.torch)
        array = scene.torch.values[match.torch]
        back = _back(result, match.axes)
        if back is None or back.shape != array.shape:
            continue
        edits = (
            [{"call": maker.index, "do": "after", "name": "value", "options": {"array": back}}]
            if maker is not None
            else [
                {"call": c.index, "do": "before", "name": "value", "options": {"array": back}}
                for c in scene.torch.users.get(match.torch, [])
            ]
        )
        here = module(maker) if maker is not None else "the input"
        cause = "input-scale" if maker is None and len(scene.call.inputs) == 1 else "missing-layer"
        factor = factor_between(back, array)
        if factor is not None and len(scene.call.inputs) == 1:
            cause = "input-scale" if scene.at_input else "scale"
            text, code = (
                f"Keras multiplies by {number(factor)} there, PyTorch by nothing",
                f"x = x * {factor:.9g}",
            )
            yield Trial(cause, edits, here, text, f"{code}  # after {here}")
            continue
        if scene.call.facts.get("fused") or scene.call.kind == "prelu":
            cause = "activation"  # which PyTorch may have otherwise
        text = f"Keras has {scene.call.type or scene.call.kind} there, PyTorch nothing like it"
        yield Trial(
            cause, edits, here, text, f"x = ...  # {scene.call.type or scene.call.kind}, after {here}"
        )


def reads(scene: Scene) -> Iterator[Trial]:
    """Give a module what Keras's layer reads, where PyTorch has that, but the module reads something else."""
    pair, other = scene.pair, scene.partner
    if pair is None or other is None or all(scene.call.index != c.index for c in pair.keras.calls):
        return
    name = scene.call.inputs[0] if scene.call.inputs else ""
    match, own = scene.matched.get(name), scene.input(other)
    if match is None or own is None:
        return
    wanted = scene.keras.values[name]
    turned = [wanted, np.moveaxis(wanted, -1, 1), np.swapaxes(wanted, 0, 1)] if wanted.ndim > 2 else [wanted]
    maker = scene.torch.maker.get(match.torch)
    source = module(maker) if maker is not None else "the input"
    for array in turned:
        if array.shape != own.shape or np.array_equal(array, own):
            continue
        edit = {"call": other.index, "do": "before", "name": "value", "options": {"array": array}}
        if match.torch == other.inputs[0] or _axes_exchanged(array, own):
            text = f"{module(other)} is given its axes in another order than Keras's {scene.call.owner}"
            yield Trial("axis", [edit], module(other), text, f"x = x.permute(...)  # before {module(other)}")
            continue
        text = f"Keras's {scene.call.owner} reads what {source} gives in PyTorch; {module(other)} reads something else"
        yield Trial("unknown", [edit], module(other), text, f"# give {module(other)} what {source} returns")


def _axes_exchanged(array: np.ndarray, own: np.ndarray) -> bool:
    """Whether one is the other with its axes in another order."""
    orders = permutations(range(own.ndim)) if own.ndim <= 4 else ()
    return any(
        own.transpose(order).shape == array.shape and np.allclose(own.transpose(order), array, rtol=1e-9)
        for order in orders
    )


def factor_between(array: np.ndarray, other: np.ndarray) -> float | None:
    """The one number that an array is another times, where there is one and it isn't 1."""
    if array.shape != other.shape or array.dtype.kind != "f" or other.dtype.kind != "f" or array.size < 2:
        return None
    norm = float(np.vdot(other, other))
    factor = float(np.vdot(other, array)) / norm if norm else 0.0
    equal = factor and np.allclose(array, factor * other, rtol=1e-7, atol=1e-12)
    return factor if equal and abs(factor - 1) > 1e-6 else None


def _back(result: np.ndarray, axes: tuple[int, ...]) -> np.ndarray | None:
    if result.ndim != len(axes):
        return None
    return result.transpose(np.argsort(axes))
