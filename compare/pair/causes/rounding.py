"""Constants that one framework keeps in float32 in a float64 model: no mistake, so they are rounded on the copy too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compare.pair.causes.activations import FUNCTIONS, options
from compare.pair.causes.trial import ROUNDING, Scene, Trial, module
from compare.pair.records import Call

NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")
SCALARS = ("multiply", "divide", "add", "subtract", "power")


def single(value: float) -> float:
    """A number rounded to float32."""
    return float(np.float32(value))


def constants(scene: Scene) -> Iterator[Trial]:
    """Round the constants of calls near the difference."""
    yield from _activations(scene)
    for call in scene.region:
        edit = _scalar(call)
        if edit:
            what = f"the constant of {call.kind} at {module(call)}"
            yield Trial(
                ROUNDING, [edit], module(call), what, everywhere=_scalar if call.kind != "add" else None
            )
    for call in scene.having(*NORMS):
        edit = _epsilon(call)
        if edit:
            yield Trial(ROUNDING, [edit], module(call), f"the epsilon of {call.kind}", everywhere=_epsilon)
    for call in scene.having("resize"):
        if call.facts.get("mode") in ("bilinear", "linear") and not call.facts.get("align_corners"):
            yield Trial(
                ROUNDING, [_resized(call)], module(call), "all of bilinear resizing", everywhere=_resized_too
            )
    for call in scene.having("attention"):
        yield Trial(ROUNDING, [_scaled(call)], module(call), "attention's scale", everywhere=_scaled_too)
    several = [edit for edit in map(_scalar, scene.region[:8]) if edit]
    if len(several) > 1:
        yield Trial(ROUNDING, several, module(scene.region[0]), "constants in a row")


def _activations(scene: Scene) -> Iterator[Trial]:
    kind = scene.call.kind
    if kind not in FUNCTIONS:
        return
    for call in scene.region[:6]:
        if call.kind in FUNCTIONS or call.kind == "clamp":
            again = dict(options(scene.call).items())
            edit = _activation(call, kind, again)
            yield Trial(
                ROUNDING,
                [edit],
                module(call),
                f"the constants of {kind}",
                everywhere=_like(call, kind, again),
            )


def _activation(call: Call, kind: str, again: dict) -> dict:
    return {
        "call": call.index,
        "do": "function",
        "name": "activate",
        "options": {"kind": kind, "single": True, **again},
    }


def _like(first: Call, kind: str, again: dict):
    plain = {k: v for k, v in first.facts.items() if k not in ("shape", "inplace")}

    def edit(call: Call) -> dict | None:
        own = {k: v for k, v in call.facts.items() if k not in ("shape", "inplace")}
        return _activation(call, kind, again) if call.kind == first.kind and own == plain else None

    return edit


def _scalar(call: Call) -> dict | None:
    """A number in an arithmetic call that float32 doesn't hold."""
    value = call.facts.get("other")
    if call.kind == "divide" and isinstance(value, (int, float)) and value and single(1 / value) != 1 / value:
        # Keras multiplies by the reciprocal, x / 255 as 1 / 255
        return {"call": call.index, "do": "set", "arguments": {"other": 1 / single(1 / value)}}
    if call.kind not in SCALARS or not isinstance(value, float) or single(value) == value:
        return None
    return {"call": call.index, "do": "set", "arguments": {"other": single(value)}}


def _epsilon(call: Call) -> dict | None:
    value = call.facts.get("eps")
    if call.kind not in NORMS or not isinstance(value, float):
        return None
    return {"call": call.index, "do": "set", "arguments": {"eps": single(value)}}


def _resized(call: Call) -> dict:
    size = call.facts["shape"][2:]
    return {
        "call": call.index,
        "do": "function",
        "name": "resize",
        "options": {"size": size, "mode": "bilinear"},
    }


def _resized_too(call: Call) -> dict | None:
    plain = call.kind == "resize" and call.facts.get("mode") in ("bilinear", "linear")
    return _resized(call) if plain and not call.facts.get("align_corners") else None


def _scaled(call: Call) -> dict:
    return {"call": call.index, "do": "function", "name": "attend", "options": {"single": True}}


def _scaled_too(call: Call) -> dict | None:
    return _scaled(call) if call.kind == "attention" else None
