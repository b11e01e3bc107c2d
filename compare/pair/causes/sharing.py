"""An array that Keras reads at two places, and PyTorch at one."""

from __future__ import annotations

from collections.abc import Iterator

from compare.pair.causes.trial import Scene, Trial, module, path

MOST = 4


def arrays(scene: Scene) -> Iterator[Trial]:
    """Give a product of PyTorch's, whose array has no partner, an array of Keras's that is read elsewhere."""
    if scene.pair is not None and any(scene.call.index == c.index for c in scene.pair.keras.calls):
        return
    for other in scene.having("dense", "matmul", "embedding"):
        if len(other.slots) != 1 or other.slots[0].index is not None:
            continue
        shape, argument = other.slots[0].shape, "other" if other.kind == "matmul" else "weight"
        fits = [
            (name, a) for name, a in scene.arrays.items() if a.ndim == 2 and sorted(a.shape) == sorted(shape)
        ]
        for name, array in fits[:MOST]:
            for turned in (array, array.T):
                if turned.shape == shape:
                    edit = {"call": other.index, "do": "set", "arguments": {argument: turned}}
                    text = f"Keras reads {name} there too, PyTorch an array of its own"
                    code = f"{path(other.slots[0].name)} = ...  # the array that {name} is in PyTorch"
                    yield Trial("sharing", [edit], module(other), text, code)
