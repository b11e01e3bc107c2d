"""A convolution's padding, stride and dilation, and how its kernel is taken."""

from __future__ import annotations

from collections.abc import Iterator

from compare.pair.causes.trial import Scene, Trial, module, path
from compare.pair.records import Call

CONVS = ("conv", "depthwise_conv", "separable_conv")


def settings(scene: Scene) -> Iterator[Trial]:
    """Give PyTorch's convolution Keras's padding, stride, dilation, groups: each alone, then together."""
    call = _convolution(scene)
    if call is None:
        return
    others = [c for c in scene.region if c.kind in ("conv", "conv_transpose")]
    own = (
        [scene.partner]
        if scene.partner is not None and scene.partner.kind in ("conv", "conv_transpose")
        else []
    )
    for other in [*own, *(c for c in others if c not in own)][:2]:
        if other.kind == "conv_transpose":
            yield from _transposed(call, other)
        else:
            yield from _plain(scene, call, other)


def _convolution(scene: Scene) -> Call | None:
    """The convolution that departs: Keras's call, or the one behind a border of zeros."""
    for call in (scene.call, *scene.following[:2]):
        if call.kind in (*CONVS, "conv_transpose"):
            return call
        if call.kind not in ("pad", "crop", "identity", "dropout"):
            return None
    return None


def _plain(scene: Scene, call: Call, other: Call) -> Iterator[Trial]:
    pads = scene.keras_pads(call)
    stride, dilation = call.facts["stride"], call.facts["dilation"]
    if call.kind == "separable_conv" and other.facts.get("groups", 1) == 1:
        return
    borders = scene.pads_before(other)
    bare = [{"call": one.index, "do": "identity"} for one in borders]
    here, layer = module(other), call.owner
    padded = [*bare, _set(other, pads=pads)]
    strided, dilated = _set(other, stride=stride), _set(other, dilation=dilation)
    text = f"Keras puts {_sides(pads)} zeros around {layer}'s input, PyTorch {_own(other, borders)}"
    sides = [side for pair in reversed(pads) for side in pair]
    code = f"x = F.pad(x, {tuple(sides)}); {path(other.place)}.padding = 0"
    if borders and borders[0].place != other.place and borders[0].place:
        code = f"{path(borders[0].place)}.padding = {tuple(sides)}"
    yield Trial("padding", padded, here, text, code, layer)
    text = f"stride {tuple(stride)} in Keras, {other.facts.get('stride')} in PyTorch"
    fix = f"{path(other.place)}.stride = {tuple(stride)}"
    for edits in ([strided], [*padded, strided]):
        yield Trial("stride", edits, here, text, fix, layer)
    text = f"dilation {tuple(dilation)} in Keras, {other.facts.get('dilation')} in PyTorch"
    fix = f"{path(other.place)}.dilation = {tuple(dilation)}"
    for edits in ([dilated], [*padded, dilated]):
        yield Trial("dilation", edits, here, text, fix, layer)
    for mode in ("reflect", "replicate", "circular"):
        if any(one.facts.get("mode") == mode for one in borders) or mode == "reflect":
            yield Trial("padding", padded, here, f"PyTorch's border is not of zeros ({mode})", code, layer)


def _transposed(call: Call, other: Call) -> Iterator[Trial]:
    crops, here = call.facts.get("crops"), module(other)
    if crops is None:
        return
    cropped = _set(other, crops=crops)
    stride, dilation = call.facts["stride"], call.facts["dilation"]
    text = (
        f"Keras keeps {crops} (start, length) of each axis; PyTorch has padding {other.facts.get('padding')}"
    )
    kept = ", ".join(f"{start}:{start + size}" for start, size in crops)
    code = f"{path(other.place)}.padding = {path(other.place)}.output_padding = 0; x = x[:, :, {kept}]  # behind it"
    yield Trial("padding", [cropped], here, text, code, call.owner)
    fix = f"{path(other.place)}.stride = {tuple(stride)}"
    yield Trial("stride", [cropped, _set(other, stride=stride)], here, f"stride {stride}", fix, call.owner)
    fix = f"{path(other.place)}.dilation = {tuple(dilation)}"
    yield Trial(
        "dilation", [cropped, _set(other, dilation=dilation)], here, f"dilation {dilation}", fix, call.owner
    )


def _set(call: Call, **arguments: object) -> dict:
    return {"call": call.index, "do": "set", "arguments": arguments}


def _sides(pads: list[list[int]]) -> str:
    return " and ".join(f"{a}, {b}" for a, b in pads)


def _own(other: Call, borders: list[Call]) -> str:
    own = [str(one.facts.get("pad")) for one in borders]
    return " and ".join([*own, str(other.facts.get("padding", 0))])


def kernels(scene: Scene) -> Iterator[Trial]:
    """Take the kernel transposed, turned round, or its axes swapped."""
    other = scene.partner
    if other is None or scene.pair is None or "kernel" not in scene.pair.torch.slots:
        return
    shape = scene.pair.torch.slots["kernel"].shape
    text = "the kernel is taken with other axes than its module's"
    orders = [(1, 0, *range(2, len(shape)))] if shape[0] == shape[1] else []
    if len(shape) == 4 and shape[2] == shape[3]:
        orders.append((0, 1, 3, 2))
        orders += [(1, 0, 3, 2)] if shape[0] == shape[1] else []
    for order in orders:
        edit = {"call": other.index, "do": "weight", "axes": list(order)}
        code = f"use {path(other.place)}.weight as it is, not transposed"
        yield Trial("kernel-layout", [edit], module(other), text, code)
    if len(shape) > 2:
        flip = {"call": other.index, "do": "weight", "flip": list(range(2, len(shape)))}
        yield Trial(
            "kernel-layout", [flip], module(other), "the kernel is turned round", "weight.flip(-1, -2)"
        )
