"""Gradients that differ though both compute the same: a cut that only one of them has, found by trying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compare.pair.causes.trial import module, path
from compare.pair.matching import Values
from compare.pair.records import Arrays, Call, Seen

MOST = 24  # places of PyTorch's that a cut is tried at
CLOSE = 1e-6


@dataclass
class Cut:
    """Where a gradient ends in one of them alone: Keras's layer, PyTorch's module, words and code."""

    keras: str
    torch: str
    text: str
    code: str


def find(
    keras: Seen,
    torch: Seen,
    passes: Any,
    batch: tuple,
    apart: Callable[[Arrays], set[str]],
    readers: list[Call],
) -> Cut | None:
    """Undo what cuts the gradient off in PyTorch, then cut it off elsewhere, until the gradients are Keras's.

    Args:
        passes: `torch_impl.cutting.Gradients`.
        batch: inputs and targets of a step.
        apart: which of Keras's arrays have another gradient than these.
        readers: PyTorch's calls that read an array whose gradient differs.
    """
    layers = _layers(keras, torch)
    gradients, cuts = passes.without(*batch, None)
    if cuts and not apart(gradients):
        for number, cut in enumerate(cuts):
            if len(cuts) == 1 or not apart(passes.without(*batch, (number,))[0]):
                return _undone(torch, cut, layers)
        return _undone(torch, cuts[0], layers)
    for call, number in _places(torch, readers):
        if not apart(passes.with_cut(*batch, call.index, number)):
            maker = torch.maker.get(call.inputs[number])
            what = f"what {module(maker)} gives" if maker is not None else "the input"
            text = f"Keras stops the gradient between {what} and {module(call)}, PyTorch lets it through"
            layer = layers.get(call.inputs[number], "")
            return Cut(layer, module(call), text, f"x = x.detach()  # before {module(call)}")
    return None


def _undone(torch: Seen, cut: tuple[str, str, int], layers: dict[str, str]) -> Cut:
    word, place, index = cut
    call = next((c for c in torch.calls if c.index == index), None)
    layer = layers.get(call.outputs[0], "") if call is not None and call.outputs else ""
    where = f"{path(place)}'s forward" if place else "the model's forward"
    what = f"what {module(call)} gives" if call is not None else "the input"
    text = f"{word} in {where} cuts the gradient off at {what}; Keras lets it through"
    return Cut(
        layer, place or (module(call) if call is not None else ""), text, f"# without {word} in {where}"
    )


def _layers(keras: Seen, torch: Seen) -> dict[str, str]:
    """Keras's layer for each of PyTorch's values that it has, too."""
    values, found = Values(torch, {}, CLOSE), {}
    for call in keras.calls:
        for name in call.outputs:
            match = values.find(keras.values[name]) if name in keras.values else None
            if match is not None:
                found[match.torch] = call.owner
    return found


def _places(torch: Seen, readers: list[Call]) -> list[tuple[Call, int]]:
    """Tensors that PyTorch's calls take from the last layer whose gradient differs, before the next that learns."""
    found: list[tuple[Call, int]] = []
    for reader in sorted(readers, key=lambda call: -call.index):
        waiting, seen = list(reader.outputs), set(reader.outputs)
        while waiting and len(found) < MOST:
            name = waiting.pop(0)
            for call in torch.users.get(name, []):
                found += [
                    (call, n) for n, one in enumerate(call.inputs) if one == name and (call, n) not in found
                ]
                if not call.slots:
                    waiting += [one for one in call.outputs if one not in seen]
                    seen.update(call.outputs)
    return found[:MOST]
