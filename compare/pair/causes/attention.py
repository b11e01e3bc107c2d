"""The scale of attention or of an embedding: a number that one side multiplies with and the other doesn't."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module, number, path


def scales(scene: Scene) -> Iterator[Trial]:
    """Multiply with Keras's number."""
    call = scene.call
    wanted = call.facts.get("attention_scale")
    if wanted is not None:
        yield from _attention(scene, float(wanted))
    if call.kind == "embedding":
        yield from _cut(scene)
    if call.type == "AdditiveAttention":
        yield from _additive(scene)
    yield from _batch(scene)
    yield from _heads(scene)
    ratio = _ratio(scene)
    if ratio is not None:
        other = scene.torch.maker.get(ratio[1])
        if other is not None:
            edit = {"call": other.index, "do": "after", "name": "affine", "options": {"scale": ratio[0]}}
            text = f"Keras's is {number(ratio[0])} times PyTorch's at {module(other)}"
            text += (
                "; the two that it takes are exchanged" if other.kind == "subtract" and ratio[0] == -1 else ""
            )
            cause = "input-scale" if scene.at_input else "scale"
            yield Trial(cause, [edit], module(other), text, f"x = x * {ratio[0]:.9g}  # at {module(other)}")


def _additive(scene: Scene) -> Iterator[Trial]:
    """The tanh of the sum of a query and a key."""
    for other in [c for c in scene.having("add") if len(c.inputs) == 2][:2]:
        made = {"kind": "tanh", "single": True}
        edit = {"call": other.index, "do": "after", "name": "activate", "options": made}
        text = f"Keras's {scene.call.owner} takes tanh of query + key, PyTorch the sum as it is"
        yield Trial("activation", [edit], module(other), text, "torch.tanh(query + key)", scene.call.owner)


def _cut(scene: Scene) -> Iterator[Trial]:
    """Rows of an embedding that PyTorch shortens to a length."""
    for other in scene.having("embedding"):
        length = other.facts.get("max_norm")
        if length is not None:
            edit = {"call": other.index, "do": "set", "arguments": {"max_norm": None}}
            text = f"PyTorch shortens the embedding's rows to {number(length)} (max_norm), Keras doesn't"
            yield Trial("scale", [edit], module(other), text, f"{path(other.place)}.max_norm = None")


def _heads(scene: Scene) -> Iterator[Trial]:
    """Another number of heads, which no array shows: together they are as large."""
    call = next((c for c in (scene.call, *scene.following) if c.kind == "attention"), None)
    if call is None or call.owner != scene.call.owner:
        return
    mixed = scene.keras.values.get(call.outputs[0])
    kernels = [slot.shape for c in scene.keras.calls if c.owner == scene.call.owner for slot in c.slots]
    heads: tuple[int, ...] = next((shape[1:] for shape in kernels if len(shape) == 3), ())
    if mixed is None or mixed.shape[2:] != heads:
        return
    for other in scene.having("attention", "softmax"):
        given = scene.input(other)
        ends = [c for c in scene.having("dense", "matmul") if c.index > other.index and c.slots]
        into = scene.input(ends[0]) if ends else None
        if given is None or into is None or given.ndim != 4 or given.shape[1] == heads[0]:
            continue
        joined = mixed.reshape(*mixed.shape[:2], -1)
        for array in (joined, joined.swapaxes(0, 1), joined.reshape(-1, joined.shape[-1])):
            if array.shape != into.shape:
                continue
            edit = {"call": ends[0].index, "do": "before", "name": "value", "options": {"array": array}}
            text = f"{heads[0]} heads in Keras, {given.shape[1]} in PyTorch"
            yield Trial(
                "unknown", [edit], module(other), text, f"{path(other.place)}: num_heads = {heads[0]}"
            )


def _batch(scene: Scene) -> Iterator[Trial]:
    """Attention from sample to sample: the batch is taken for the steps."""
    call = next((c for c in (scene.call, *scene.following) if c.kind == "attention"), None)
    mixed = scene.keras.values.get(call.outputs[0]) if call is not None else None
    if call is None or mixed is None or mixed.ndim != 4 or mixed.shape[0] == mixed.shape[1]:
        return
    for other in scene.having("softmax", "attention"):
        shares = scene.torch.values.get(other.outputs[0])
        if shares is None or shares.ndim < 3 or shares.shape[-2] != mixed.shape[0]:
            continue
        ends = [c for c in scene.having("dense", "matmul") if c.index > other.index and c.slots]
        into = scene.input(ends[0]) if ends else None
        joined = mixed.reshape(*mixed.shape[:2], -1)
        for array in (joined, joined.reshape(-1, joined.shape[-1])):
            if into is not None and array.shape == into.shape:
                edit = {"call": ends[0].index, "do": "before", "name": "value", "options": {"array": array}}
                text = "PyTorch attends from sample to sample: it takes the batch for the steps"
                code = f"{path(other.place)}: batch_first=True"
                yield Trial("axis", [edit], module(other), text, code, call.owner)


def _attention(scene: Scene, wanted: float) -> Iterator[Trial]:
    for exact in (float(np.float32(wanted)), wanted):
        for other in scene.having("attention"):
            edit = {"call": other.index, "do": "function", "name": "attend", "options": {"scale": exact}}
            text = f"the scores' scale is {number(wanted)} in Keras and {other.facts.get('scale')} in PyTorch"
            code = f"F.scaled_dot_product_attention(q, k, v, scale={wanted:.9g})"
            yield Trial("scale", [edit], module(other), text, code)
        softmaxes = list(scene.having("softmax"))
        for other in softmaxes[:1]:
            yield from _scores(scene, other, exact)


def _scores(scene: Scene, softmax, wanted: float) -> Iterator[Trial]:
    """Scores written out: the numbers between the product and the softmax are Keras's scale."""
    numbers = [
        c
        for c in scene.region
        if c.index < softmax.index
        and c.kind in ("multiply", "divide")
        and isinstance(c.facts.get("other"), (int, float))
    ]
    for other in numbers:
        value = wanted if other.kind == "multiply" else 1 / wanted
        edit = {"call": other.index, "do": "set", "arguments": {"other": value}}
        own = f"{other.kind} by {number(other.facts['other'])}"
        text = f"the scores' scale is {number(wanted)} in Keras; PyTorch: {own}"
        yield Trial("scale", [edit], module(other), text, f"{path(other.place)}: scores * {wanted:.9g}")
    if not numbers:
        edit = {"call": softmax.index, "do": "before", "name": "affine", "options": {"scale": wanted}}
        text = f"Keras multiplies the scores by {number(wanted)}, PyTorch by nothing"
        yield Trial(
            "scale",
            [edit],
            module(softmax),
            text,
            f"scores = scores * {wanted:.9g}  # before {module(softmax)}",
        )


def _ratio(scene: Scene) -> tuple[float, str] | None:
    """The one number between Keras's result and a value of PyTorch's, where there is one."""
    own = scene.keras.values.get(scene.call.outputs[0]) if scene.call.outputs else None
    if own is None or own.dtype.kind != "f" or own.size < 2:
        return None
    from compare.pair.matching import arrangements

    for call in scene.region[:4]:
        for name in call.outputs:
            other = scene.torch.values.get(name)
            if other is None or other.size != own.size or other.dtype.kind != "f":
                continue
            for axes in arrangements(other.shape, own.shape):
                turned = other.transpose(axes)
                if turned.shape != own.shape:
                    continue
                norm = float(np.vdot(turned, turned))
                factor = float(np.vdot(turned, own)) / norm if norm else 0.0
                if (
                    factor
                    and abs(factor - 1) > 1e-6
                    and np.allclose(own, factor * turned, rtol=1e-7, atol=1e-12)
                ):
                    return factor, name
    return None
