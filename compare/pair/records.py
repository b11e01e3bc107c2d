"""What was seen of a model: its calls in forward order, the values between them and the arrays it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass
class Slot:
    """An array as a call reads it.

    Attributes:
        role: what it is to the call: ``kernel``, ``bias``, ``gamma``, ...
        name: the array's name in its model.
        shape: as it is read.
        index: where the elements read are in the array (flat); None for all, in order; ``"computed"`` where the
            call reads something computed from the array.
    """

    role: str
    name: str
    shape: tuple[int, ...]
    index: Any = None


@dataclass(eq=False)
class Call:
    """A call of a layer or a function.

    Attributes:
        index: its place in forward order.
        kind: what it computes, in words that both frameworks share.
        place: the path of the layer or module that it was made in.
        owner: the layer that a person would name.
        inputs, outputs: names of values.
        facts: plain numbers, lists and words.
    """

    index: int
    kind: str
    place: str
    owner: str
    type: str
    inputs: list[str]
    outputs: list[str]
    slots: list[Slot]
    facts: dict[str, Any]


@dataclass
class Seen:
    """One forward pass of a model.

    Attributes:
        error: why it ended early; None if it didn't.
    """

    calls: list[Call]
    inputs: list[str]
    outputs: list[str]
    values: Arrays = field(default_factory=dict)
    error: str | None = None

    def __post_init__(self) -> None:
        self.maker = {value: call for call in self.calls for value in call.outputs}
        self.users: dict[str, list[Call]] = {}
        for call in self.calls:
            for value in dict.fromkeys(call.inputs):
                self.users.setdefault(value, []).append(call)


@dataclass(frozen=True)
class Held:
    """An array of a model.

    Attributes:
        trains: whether a training step moves it.
        alias: an earlier name of the very same array, or None.
        kind: the type of the layer or standard module that holds it; empty for a person's own.
    """

    name: str
    shape: tuple[int, ...]
    trains: bool
    alias: str | None
    kind: str


def seen(record: dict[str, Any]) -> Seen:
    """Read what `observing.observe` of either framework returned."""
    calls = [
        Call(
            one["index"],
            one["kind"],
            one["place"],
            one.get("owner", one["place"]),
            one["type"],
            one["inputs"],
            one["outputs"],
            [Slot(a["role"], a["name"], tuple(a["shape"]), a["index"]) for a in one["arrays"]],
            one["facts"],
        )
        for one in record["calls"]
    ]
    return Seen(calls, record["inputs"], record["outputs"], record["values"], record["error"])


def held(record: dict[str, dict]) -> dict[str, Held]:
    """Read what `observing.arrays` of either framework returned."""
    return {
        name: Held(name, tuple(one["shape"]), one["trains"], one["alias"], one["kind"] or "")
        for name, one in record.items()
    }
