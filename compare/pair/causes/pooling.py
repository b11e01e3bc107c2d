"""Pooling and resizing: what is counted, what is cut off, which corners meet."""

from __future__ import annotations

from collections.abc import Iterator

from compare.pair.causes.trial import Scene, Trial, instead, module, moved
from compare.pair.records import Call

POOLS = ("max_pool", "mean_pool", "adaptive_pool", "adaptive_max_pool")
GLOBAL = (*POOLS, "mean", "amax", "max", "sum", "getitem", "flatten")


def settings(scene: Scene) -> Iterator[Trial]:
    """Pool as Keras does."""
    call = next(
        (
            c
            for c in (scene.call, *scene.following[:1])
            if c.kind in ("max_pool", "mean_pool", "mean", "amax")
        ),
        None,
    )
    if call is None or (call is not scene.call and scene.call.kind != "pad"):
        return
    # a block's other branches read the same value, and come before
    others = [c for c in scene.region if c.kind in GLOBAL]
    for other in others[:6]:
        if call.kind in ("max_pool", "mean_pool"):
            yield from _windows(scene, call, other)
        else:
            yield from _whole(call, other)


def _windows(scene: Scene, call: Call, other: Call) -> Iterator[Trial]:
    if other.kind not in POOLS:
        return
    facts = call.facts
    made = {"kind": call.kind, "window": facts["window"], "stride": facts["stride"], "pads": facts["pads"]}
    bare = [{"call": one.index, "do": "identity"} for one in scene.pads_before(other)]
    edit = {"call": other.index, "do": "function", "name": "pool", "options": made}
    zeros = {**edit, "options": {**made, "pads": scene.keras_pads(call), "zeros": True}}
    text = f"Keras: {call.kind} {facts['window']}, stride {facts['stride']}, padding {facts['padding']}, never counted"
    code = f"# at {module(other)}: {_written(call)}"
    for edits in ([edit], [*bare, edit], [*bare, zeros]):
        yield Trial("pooling", edits, module(other), f"{text}; PyTorch: {_told(other)}", code, call.owner)


def _whole(call: Call, other: Call) -> Iterator[Trial]:
    rank = len(other.facts["shape"])
    axes = call.facts.get("axes") or call.facts.get("axis")
    if axes is None:
        return
    axes = axes if isinstance(axes, list) else [axes]
    for found in (moved(axes, len(axes) + 2), axes):
        made = {
            "axes": found,
            "keepdim": bool(call.facts.get("keepdims")) or other.kind in POOLS or rank == len(axes) + 2,
        }
        edit = {"call": other.index, "do": "function", "name": call.kind, "options": made}
        text = f"Keras takes the {call.kind} over axes {axes}, PyTorch {_told(other)}"
        name = "mean" if call.kind == "mean" else "amax"
        yield Trial(
            "pooling",
            [edit],
            module(other),
            text,
            f"x.{name}({tuple(found)})  # at {module(other)}",
            call.owner,
        )


def _written(call: Call) -> str:
    name = "MaxPool" if call.kind == "max_pool" else "AvgPool"
    facts = call.facts
    pads = [side for pair in reversed(facts["pads"]) for side in pair]
    before = f"F.pad(x, {tuple(pads)}, value=-inf), then " if any(pads) and name == "MaxPool" else ""
    more = ", count_include_pad=False" if name == "AvgPool" and any(pads) else ""
    return f"{before}nn.{name}{facts['rank']}d({tuple(facts['window'])}, {tuple(facts['stride'])}{more})"


def _told(other: Call) -> str:
    kept = ("window", "stride", "padding", "ceil_mode", "count_include_pad", "size", "dim")
    return other.kind + "".join(
        f", {key} {other.facts[key]}" for key in kept if other.facts.get(key) not in (None, [], False, 0)
    )


def resizing(scene: Scene) -> Iterator[Trial]:
    """Resize as Keras does."""
    call = scene.call
    if call.kind != "resize":
        return
    for other in scene.having("resize"):
        for single in (True, False):
            made = {"size": call.facts["size"], "mode": call.facts["mode"], "single": single}
            edit = {"call": other.index, "do": "function", "name": "resize", "options": made}
            text = (
                f"{call.facts['mode']} with half-pixel centres in Keras; {other.facts.get('mode')}"
                f"{', aligned corners' if other.facts.get('align_corners') else ''} in PyTorch"
            )
            mode = "nearest-exact" if call.facts["mode"] == "nearest" else call.facts["mode"]
            corners = ", align_corners=False" if mode in ("bilinear", "bicubic") else ""
            new = f"nn.Upsample({tuple(call.facts['size'])}, mode='{mode}'{corners})"
            code = instead(other, new)
            yield Trial("resize", [edit], module(other), text, code)
