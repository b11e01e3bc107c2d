"""A layer that only one of the models has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module, path

STRUCTURE = ("flatten", "reshape", "permute", "transpose", "getitem", "split", "concat", "matmul")


def extra(scene: Scene) -> Iterator[Trial]:
    """Leave out a call of PyTorch's that keeps the shape."""
    for call in scene.region[:8]:
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
        yield Trial(cause, [edit], module(call), text, f"{path(call.place)} = nn.Identity()")


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
        cause = "input-scale" if maker is None else "missing-layer"
        text = f"Keras has {scene.call.type or scene.call.kind} there, PyTorch nothing"
        yield Trial(
            cause, edits, here, text, f"x = ...  # {scene.call.type or scene.call.kind}, after {here}"
        )


def _back(result: np.ndarray, axes: tuple[int, ...]) -> np.ndarray | None:
    if result.ndim != len(axes):
        return None
    return result.transpose(np.argsort(axes))
