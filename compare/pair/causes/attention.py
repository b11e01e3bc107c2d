"""The scale of attention or of an embedding: a number that one side multiplies with and the other doesn't."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module, number, path

SCALED = ("multiply", "divide", "matmul", "attention", "dense", "embedding", "add", "softmax")


def scales(scene: Scene) -> Iterator[Trial]:
    """Multiply with Keras's number."""
    call = scene.call
    wanted = call.facts.get("attention_scale")
    if wanted is not None:
        yield from _attention(scene, float(wanted))
    ratio = _ratio(scene)
    if ratio is not None:
        other = scene.torch.maker.get(ratio[1])
        if other is not None:
            edit = {"call": other.index, "do": "after", "name": "affine", "options": {"scale": ratio[0]}}
            text = f"Keras's is {number(ratio[0])} times PyTorch's at {module(other)}"
            yield Trial("scale", [edit], module(other), text, f"x = x * {ratio[0]:.9g}  # at {module(other)}")


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
