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
    kept = f"Keras's {call.owner} leaves {share} {what} out by a mask"
    text = f"{kept}, PyTorch none"
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
        yield from _scores(scene, call, mask, kept)


def _axis(other: Call) -> int:
    axis = other.facts.get("dim")
    axis = axis[0] if isinstance(axis, list) and axis else axis
    return axis % (len(other.facts["shape"]) + 1) if isinstance(axis, int) else 1


def _scores(scene: Scene, call: Call, mask: np.ndarray, text: str) -> Iterator[Trial]:
    counted = mask[:, None] if mask.ndim == 3 else mask
    # where nothing is left to look at, it matters whether scores are replaced or a number is added to them
    ways = (counted, np.where(counted, 0.0, AWAY))
    for other, way in product(scene.having("attention"), ways):
        own = ", PyTorch other ones" if other.facts.get("masked") else ", PyTorch none"
        edit = {"call": other.index, "do": "function", "name": "attend", "options": {"masked": way}}
        given = "is_causal=True" if _causal(mask) else "attn_mask=mask"
        code = f"F.scaled_dot_product_attention(q, k, v, {given})"
        yield Trial("missing-layer", [edit], module(other), text + own, code, call.owner)
    for other in scene.having("softmax"):
        fills = [{"call": c.index, "do": "identity"} for c in _fills(scene, other)]
        own = _own(scene.torch.values.get(other.outputs[0]), counted)
        for way, bare in product(ways, ([], fills) if fills else ([],)):
            edit = {"call": other.index, "do": "before", "name": "masked", "options": {"mask": way}}
            code = _written(other, mask)
            yield Trial("missing-layer", [*bare, edit], module(other), text + own, code, call.owner)


def _causal(mask: np.ndarray) -> bool:
    """Whether a mask lets each step look at itself and those before."""
    square = mask.ndim > 1 and mask.shape[-1] == mask.shape[-2]
    return square and bool(np.all(mask == np.tril(np.ones(mask.shape[-2:], bool))))


def _written(other: Call, mask: np.ndarray) -> str:
    """The line that leaves Keras's places out of PyTorch's scores."""
    size = ", ".join(map(str, mask.shape[-2:]))
    out = f"torch.ones({size}, dtype=torch.bool).triu(1)" if _causal(mask) else "~mask"
    if other.type == "MultiheadAttention":
        return f"{path(other.place)}(q, k, v, attn_mask={out})"
    return f"scores = scores.masked_fill({out}, -1e9)  # before the softmax of {module(other)}"


def _own(shares: np.ndarray | None, counted: np.ndarray) -> str:
    """What PyTorch's softmax leaves out, beside what counts in Keras, in words."""
    if shares is None or shares.ndim < 2 or shares.all():
        return ", PyTorch none"
    own = np.all(shares != 0, tuple(range(shares.ndim - 2)))
    theirs = np.all(counted, tuple(range(counted.ndim - 2)))
    if own.shape != theirs.shape:
        return ", PyTorch other ones"
    if np.array_equal(own, ~theirs):
        return ", PyTorch just the others: its mask is turned round"
    if own.shape[0] == own.shape[1] and np.array_equal(theirs, np.tril(np.ones_like(theirs))):
        for function, step in product((np.tril, np.triu), (-2, -1, 0, 1, 2)):
            if np.array_equal(own, function(np.ones_like(own), step)):
                return _triangle(function is np.tril, step)
    return ", PyTorch other ones"


def _triangle(lower: bool, step: int) -> str:
    """A triangle in words."""
    if not lower:
        return ", the later ones; PyTorch the earlier ones: the other triangle"
    if step > 0:
        return f", the later ones; PyTorch lets {step} of the later ones in: its triangle is {step} off"
    return f", the later ones; PyTorch leaves {-step} more out: its triangle is {-step} off"


def _fills(scene: Scene, softmax: Call) -> list[Call]:
    """PyTorch's own masking of the scores, by a constant or by what is computed from the data."""

    def masks(name: str) -> bool:
        value = scene.torch.values.get(name)
        if value is None or value.dtype.kind == "b":
            return value is not None
        return bool(np.all((value == 0) | (value <= AWAY)))

    near = [c for c in scene.having(*FILLS) if c.index < softmax.index and c.inputs]
    return [c for c in near if not masks(c.inputs[0]) and all(masks(name) for name in c.inputs[1:])]


def _dropped(scene: Scene) -> Iterator[Trial]:
    if scene.call.kind not in ("attention", "softmax"):
        return
    text = f"PyTorch's attention leaves places out by a mask, Keras's {scene.call.owner} none"
    for other in scene.having("attention"):
        arguments = {"attn_mask": None, "is_causal": False}
        edit = {"call": other.index, "do": "set", "arguments": arguments}
        yield Trial("extra-layer", [edit], module(other), text, "# without attn_mask and is_causal")
    ends = list(scene.having("softmax"))
    for other in _fills(scene, ends[0]) if ends else ():
        edit = {"call": other.index, "do": "identity"}
        code = f"# without {other.facts.get('function', other.kind)} in {path(other.place)}"
        yield Trial("extra-layer", [edit], module(other), text, code)
