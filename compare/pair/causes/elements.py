"""What only moves a value's elements about, or keeps a part of them: space to channels, a map that is cropped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

import numpy as np

from compare.pair.causes.shapes import reshaping
from compare.pair.causes.trial import Scene, Trial, module
from compare.pair.matching import Match, arrangements
from compare.pair.records import Call

MOST = 4  # of PyTorch's calls, and of Keras's, that are tried
TURNED = ("flip", "roll")
SHUFFLES = ("pixel_shuffle", "pixel_unshuffle")
Box = list[tuple[int, int]]  # first and last place behind it, axis by axis


def moved_about(scene: Scene) -> Iterator[Trial]:
    """Put the elements where Keras has them, behind PyTorch's calls that move the same ones about."""
    if not scene.sources or scene.call.kind in TURNED or len(scene.call.inputs) != 1:
        return
    source = scene.sources[0]
    given = np.sort(scene.torch.values[source.torch], axis=None)
    layer = reshaping(scene)
    before = scene.keras.maker.get(scene.call.inputs[0])
    wanted = _chain(scene, given) or ([before] if layer and before is not None else [])
    others = [c for c in scene.region if c.outputs and _same(scene.torch.values.get(c.outputs[0]), given)]
    if not others and len(wanted) > 1:
        yield from _nothing(scene, source, wanted)
    for other in list(reversed(others))[:MOST]:
        if other.kind in TURNED:
            return
        own = scene.torch.values[other.outputs[0]]
        for call in list(reversed(wanted))[:MOST]:
            array = _laid_out(scene.keras.values[call.outputs[0]], own)
            if array is None:
                continue
            edit = {"call": other.index, "do": "after", "name": "value", "options": {"array": array}}
            name = other.facts.get("function", other.kind)
            text = f"{name} puts the elements elsewhere than Keras's {layer or scene.call.owner} does"
            code = _shuffled(scene, source, other, array)
            yield Trial("flatten-order", [edit], module(other), text, code, layer or scene.call.owner)


def _nothing(scene: Scene, source: Match, wanted: list[Call]) -> Iterator[Trial]:
    """Keras moves the elements about, and PyTorch doesn't."""
    maker = scene.torch.maker.get(source.torch)
    array = _laid_out(scene.keras.values[wanted[-1].outputs[0]], scene.torch.values[source.torch])
    if maker is not None and array is not None:
        edit = {"call": maker.index, "do": "after", "name": "value", "options": {"array": array}}
        names = f"{wanted[0].owner} to {wanted[-1].owner}"
        text = f"Keras moves the elements about from {names}, PyTorch leaves them where they are"
        code = f"x = ...  # the elements as {names} have them, after {module(maker)}"
        yield Trial("missing-layer", [edit], module(maker), text, code, scene.call.owner)


def _chain(scene: Scene, given: np.ndarray) -> list[Call]:
    """Keras's call and those behind it, as long as they have the same elements."""
    chain: list[Call] = []
    users = [scene.call]
    while len(users) == 1 and users[0].outputs:
        if not _same(scene.keras.values.get(users[0].outputs[0]), given):
            break
        chain.append(users[0])
        users = scene.keras.users.get(users[0].outputs[0], [])
    return chain


def _same(array: np.ndarray | None, given: np.ndarray) -> bool:
    """Whether an array has these elements, in whatever order."""
    if array is None or array.size != given.size or array.dtype.kind != "f":
        return False
    return bool(np.allclose(np.sort(array, axis=None), given, rtol=1e-9, atol=1e-12))


def _laid_out(array: np.ndarray, own: np.ndarray) -> np.ndarray | None:
    """Keras's array as PyTorch's lies, channels first where they are."""
    if array.ndim >= 3 and np.moveaxis(array, -1, 1).shape == own.shape:
        return np.moveaxis(array, -1, 1)
    axes = next((a for a in arrangements(array.shape, own.shape)), None)
    turned = array.transpose(axes) if axes is not None else array
    return turned if turned.shape == own.shape else None


def _shuffled(scene: Scene, source: Match, other: Call, wanted: np.ndarray) -> str:
    """The line that makes PyTorch's call equal: another order of the channels, where that is all."""
    name, given = other.facts.get("function"), scene.torch.values[source.torch]
    if name in SHUFFLES and given.ndim == wanted.ndim == 4:
        deep, wide = (given, wanted) if name == "pixel_shuffle" else (wanted, given)
        n, c, h, w = wide.shape
        r = h // deep.shape[2]
        for order in permutations(range(3)):  # of the channels (C, r, r) as PyTorch has them
            sizes = [(c, r, r)[axis] for axis in order]
            split = deep.reshape(n, *sizes, h // r, w // r)
            turned = split.transpose(0, *(1 + int(axis) for axis in np.argsort(order)), 4, 5)
            if np.allclose(turned.transpose(0, 1, 4, 2, 5, 3).reshape(wide.shape), wide, rtol=1e-9):
                back = tuple(int(a) for a in (np.argsort(order) if name == "pixel_shuffle" else order))
                first = sizes if name == "pixel_shuffle" else [c, r, r]
                axes = (0, *(1 + axis for axis in back), 4, 5)
                where = f"before {name}" if name == "pixel_shuffle" else f"behind {name}"
                return f"x = x.unflatten(1, {tuple(first)}).permute{axes}.flatten(1, 3)  # {where}"
    return f"x = ...  # the elements as Keras's {scene.call.owner} has them, at {module(other)}"


def cut(scene: Scene) -> Iterator[Trial]:
    """Keep the part of a value that Keras keeps, or all of it."""
    if not scene.sources or len(scene.call.inputs) != 1:
        return
    source, result = scene.sources[0], scene.keras.values.get(scene.call.outputs[0])
    whole, given = scene.torch.values[source.torch], scene.keras.values[scene.call.inputs[0]]
    if len(source.axes) != given.ndim or given.shape != whole.transpose(source.axes).shape:
        return
    users = [c for c in scene.torch.users.get(source.torch, []) if c.outputs]
    boxes = {c.index: _box(scene.torch.values.get(c.outputs[0]), whole) for c in users}
    kept = _box(result, given)
    if result is None or kept is None:
        for call in (c for c in users if boxes[c.index] is not None):
            edit = {"call": call.index, "do": "identity"}
            text = f"PyTorch keeps {_told(boxes[call.index], whole)} there, Keras all"
            yield Trial("extra-layer", [edit], module(call), text, f"# without the cut at {module(call)}")
        return
    back = np.argsort(source.axes)
    box = [kept[axis] for axis in back]
    edit = {"do": "after", "name": "value", "options": {"array": result.transpose(back)}}
    code = f"x = x[{', '.join(_slice(pair, size) for pair, size in zip(box, whole.shape, strict=True))}]"
    text = f"Keras's {scene.call.owner} keeps {_told(box, whole)}"
    channels = whole.ndim > 2 and box[1] != (0, whole.shape[1])
    for call in (c for c in users if boxes[c.index] not in (None, box)):
        own = boxes[call.index]
        assert own is not None
        cause = "unknown" if channels or len(box) < 3 else "padding"
        more = f"{text}, PyTorch {_told(own, whole)}"
        yield Trial(cause, [{**edit, "call": call.index}], module(call), more, code, scene.call.owner)
    maker = scene.torch.maker.get(source.torch)
    if maker is not None and not any(boxes.values()):
        given_edit = {**edit, "call": maker.index}
        more = f"{text}, PyTorch all"
        yield Trial("missing-layer", [given_edit], module(maker), more, f"{code}  # after {module(maker)}")


def _box(part: np.ndarray | None, whole: np.ndarray) -> Box | None:
    """Where a part lies in an array; None where it isn't one, or is all of it."""
    if part is None or part.ndim != whole.ndim or part.shape == whole.shape or not part.size:
        return None
    if any(a > b for a, b in zip(part.shape, whole.shape, strict=True)):
        return None
    room = [range(b - a + 1) for a, b in zip(part.shape, whole.shape, strict=True)]
    corner = part[(0,) * part.ndim]
    for start in product(*room):
        if np.isclose(whole[start], corner, rtol=1e-9, atol=1e-12):
            box = [(s, s + n) for s, n in zip(start, part.shape, strict=True)]
            if np.allclose(whole[tuple(slice(*pair) for pair in box)], part, rtol=1e-9, atol=1e-12):
                return box
    return None


def _told(box: Box | None, whole: np.ndarray) -> str:
    """A part in words, by PyTorch's axes."""
    sizes = zip(range(whole.ndim), box or [], whole.shape, strict=False)
    return " and ".join(f"{a} to {b - 1} of axis {n}" for n, (a, b), size in sizes if b - a < size)


def _slice(pair: tuple[int, int], size: int) -> str:
    start, end = (str(pair[0]) if pair[0] else ""), (str(pair[1] - size) if pair[1] < size else "")
    return f"{start}:{end}"
