"""One likely cause: the change that would undo it, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compare.pair.matching import Match
from compare.pair.partners import Partner
from compare.pair.records import Call, Seen

ROUNDING = "rounding"
# what is done to an input: numbers, and the order of channels
ARITHMETIC = ("multiply", "divide", "add", "subtract", "rescale", "getitem", "concat", "flip", "identity")


@dataclass
class Trial:
    """A change to be tried.

    Attributes:
        cause: in the verdict's words; ``rounding`` for a constant that a framework keeps in float32.
        edits: as PyTorch's side takes them (`torch_impl.editing.apply`).
        torch: the module to be named.
        text: what the two do, in a sentence.
        code: the line that makes PyTorch's model equal.
        keras: the layer to be named, where it isn't the one that departs.
        everywhere: makes the same edit of a call of the same function, if it applies there too.
    """

    cause: str
    edits: list[dict]
    torch: str
    text: str = ""
    code: str = ""
    keras: str = ""
    everywhere: Callable[[Call], dict | None] | None = None


@dataclass
class Scene:
    """Where the two part, as a cause sees it.

    Attributes:
        call: Keras's call whose result PyTorch hasn't.
        region: PyTorch's calls from what both have onwards, in order, as far as they are of interest.
        nearest: the same, those that read what both have first.
        partner: PyTorch's calls that read the same arrays.
        following: Keras's calls that depend on this one's result, nearest first.
        sources: PyTorch's values that equal what goes into the call.
        pairs: all operations taken for one another.
        near: PyTorch's value that is nearly the call's result, and how nearly.
    """

    call: Call
    keras: Seen
    torch: Seen
    region: list[Call]
    partner: Call | None
    pair: Partner | None
    following: list[Call]
    sources: list[Match]
    near: Match | None
    matched: dict[str, Match] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    nearest: list[Call] = field(default_factory=list)
    pairs: list[Partner] = field(default_factory=list)

    def first(self, count: int) -> list[Call]:
        """The region's first calls: the earliest so many, and the nearest."""
        found = {call.index: call for call in (*self.region[:count], *self.nearest[:count])}
        return [found[index] for index in sorted(found)]

    @property
    def last(self) -> int | None:
        """The last of PyTorch's calls that a change near the difference can be told by."""
        return self.region[-1].index if self.region else None

    @property
    def at_input(self) -> bool:
        """Whether Keras's call computes with the model's input, and nothing but numbers was done to it before."""
        waiting = list(self.call.inputs)
        while waiting:
            maker = self.keras.maker.get(waiting.pop())
            if maker is not None:
                if maker.slots or maker.kind not in ARITHMETIC:
                    return False
                waiting += maker.inputs
        return bool(self.call.inputs) and not self.call.slots

    def having(self, *kinds: str) -> Iterator[Call]:
        """The region's calls of some kinds."""
        return (call for call in self.region if call.kind in kinds)

    def input(self, call: Call) -> np.ndarray | None:
        """What goes into one of PyTorch's calls first."""
        return self.torch.values.get(call.inputs[0]) if call.inputs else None

    def pads_before(self, call: Call) -> list[Call]:
        """The calls directly before one that only put a border around its input."""
        found = []
        maker = self.torch.maker.get(call.inputs[0]) if call.inputs else None
        while maker is not None and maker.kind in ("pad", "getitem") and len(maker.inputs) == 1:
            found.append(maker)
            maker = self.torch.maker.get(maker.inputs[0])
        return [one for one in found if one.kind == "pad"]

    def keras_pads(self, call: Call) -> list[list[int]]:
        """The zeros on each side of what goes into one of Keras's calls, layers of zeros before it included."""
        pads = [list(pair) for pair in call.facts.get("pads", [])]
        maker = self.keras.maker.get(call.inputs[0]) if call.inputs else None
        if maker is not None and maker.kind == "pad" and len(maker.facts["pads"]) == len(pads):
            pads = [[a + c, b + d] for (a, b), (c, d) in zip(pads, maker.facts["pads"], strict=True)]
        return pads


Cause = Callable[[Scene], Iterator[Trial]]


def module(call: Call) -> str:
    """How a module is named: its path, or the function where it is called in the model's own forward."""
    return call.place or f"{call.facts.get('function', call.kind)} in forward"


def instead(call: Call, new: str) -> str:
    """The code that puts another module where one of PyTorch's calls is."""
    if call.facts.get("module"):
        return f"{path(call.place)} = {new}"
    where = f"{call.type}'s forward ({call.place})" if call.place else "the model's forward"
    return f"{new}(x)  # instead of {call.facts.get('function', call.kind)}, in {where}"


def path(place: str) -> str:
    """The code for a module: ``model.features[0].conv``."""
    text = "model"
    for part in place.split("."):
        if part:
            text += f"[{part}]" if part.isdigit() else f".{part}"
    return text


def number(value: Any) -> str:
    """A number as a person writes it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def moved(axes: list[int], rank: int) -> list[int]:
    """Axes of ``(N, ..., C)`` as those of ``(N, C, ...)``."""
    places = {0: 0, rank - 1: 1, **{axis: axis + 1 for axis in range(1, rank - 1)}}
    return [places[axis % rank] for axis in axes]
