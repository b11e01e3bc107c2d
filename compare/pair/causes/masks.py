"""What is left out: steps of a sequence and places that attention may not look at, in one of the models alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module, path
from compare.pair.records import Call

AWAY = -1e9  # what Keras adds to the scores of what is left out
RECURRENT = ("lstm", "gru", "rnn")
FILLS = ("masked_fill", "masked_fill_", "where", "add")


def masks(scene: Scene) -> Iterator[Trial]:
    """Leave out in PyTorch what Keras leaves out, or leave nothing out there."""
    call = next((c for c in (scene.call, *scene.following[:2]) if "mask" in c.facts), None)
    mask = scene.keras.values.get(call.facts["mask"]) if call is not None else None
    if call is not None and mask is not None:
        yield from _given(scene, call, mask)
    yield from _dropped(scene)


def _given(scene: Scene, call: Call, mask: np.ndarray) -> Iterator[Trial]:
    what = "steps" if call.kind in (*RECURRENT, "mean") else "places"
    share = f"{int(mask.size - mask.sum())} of {mask.size}"
    text = f"Keras's {call.owner} leaves {share} {what} out by a mask, PyTorch none"
    if call.kind in RECURRENT:
        for other, zeros in product(scene.having(call.kind), (False, True)):
            made = {"mask": mask, "zeros": zeros}  # both directions give zeros at a step that is left out
            edit = {"call": other.index, "do": "function", "name": call.kind, "options": made}
            code = "nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)"
            yield Trial("missing-layer", [edit], module(other), text, f"x = {code}", call.owner)
    if call.kind == "mean":
        for other in scene.having("mean"):
            made = {"mask": mask, "axis": _axis(other)}
            edit = {"call": other.index, "do": "function", "name": "masked_mean", "options": made}
            code = "x = (x * mask).sum(1) / mask.sum(1)"
            yield Trial("missing-layer", [edit], module(other), text, code, call.owner)
    if call.kind in ("attention", "softmax"):
        yield from _scores(scene, call, mask, text)


def _axis(other: Call) -> int:
    axis = other.facts.get("dim")
    axis = axis[0] if isinstance(axis, list) and axis else axis
    return axis % (len(other.facts["shape"]) + 1) if isinstance(axis, int) else 1


def _scores(scene: Scene, call: Call, mask: np.ndarray, text: str) -> Iterator[Trial]:
    counted = mask[:, None] if mask.ndim == 3 else mask
    # where nothing is left to look at, it matters whether scores are replaced or a number is added to them
    ways = (counted, np.where(counted, 0.0, AWAY))
    for other, way in product(scene.having("attention"), ways):
        edit = {"call": other.index, "do": "function", "name": "attend", "options": {"masked": way}}
        code = "F.scaled_dot_product_attention(q, k, v, attn_mask=mask)"
        yield Trial("missing-layer", [edit], module(other), text, code, call.owner)
    for other, way in product(scene.having("softmax"), ways):
        edit = {"call": other.index, "do": "before", "name": "masked", "options": {"mask": way}}
        code = f"scores = scores.masked_fill(~mask, -1e9)  # before the softmax of {module(other)}"
        yield Trial("missing-layer", [edit], module(other), text, code, call.owner)


def _dropped(scene: Scene) -> Iterator[Trial]:
    if scene.call.kind not in ("attention", "softmax"):
        return
    text = f"PyTorch's attention leaves places out by a mask, Keras's {scene.call.owner} none"
    for other in scene.having("attention"):
        arguments = {"attn_mask": None, "is_causal": False}
        edit = {"call": other.index, "do": "set", "arguments": arguments}
        yield Trial("extra-layer", [edit], module(other), text, "# without attn_mask and is_causal")
    ends = [c.index for c in scene.having("softmax")]
    for other in (c for c in scene.having(*FILLS) if ends and c.index < ends[0] and len(c.inputs) == 1):
        edit = {"call": other.index, "do": "identity"}
        code = f"# without {other.facts.get('function', other.kind)} in {path(other.place)}"
        yield Trial("extra-layer", [edit], module(other), text, code)
