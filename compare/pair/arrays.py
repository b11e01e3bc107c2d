"""The map's records, and what it is for: arrays of the one model as the other's."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from compare.pair.graph import Op
from compare.pair.layouts import Layout, Segments
from compare.pair.partners import Partner
from compare.pair.records import Arrays

NEUTRAL = {"gamma": 1.0, "variance": 1.0}  # what an array without a partner is set to; anything else to zero


@dataclass
class Binding:
    """An array of Keras's in one of PyTorch's.

    Attributes:
        part: where in PyTorch's array, flat; None for all of it.
        keras_place, torch_place: the layer and the module that read it.
    """

    keras: str
    torch: str
    layout: Layout
    why: str
    role: str = ""
    part: np.ndarray | None = None
    keras_place: str = ""
    torch_place: str = ""


@dataclass
class Left:
    """An array without a partner.

    Attributes:
        side: ``keras`` or ``torch``.
        reason: why it has none.
        cause: what it makes different, in the verdict's words; empty where it is harmless.
        candidates: what it might be, where that can't be decided.
    """

    side: str
    name: str
    reason: str
    cause: str = ""
    keras_place: str = ""
    torch_place: str = ""
    role: str = ""
    candidates: list[str] = field(default_factory=list)


@dataclass
class Map:
    """All arrays of both models, each with its partner or the reason why it has none.

    Attributes:
        rows: vectors with a flattened map that lies otherwise in PyTorch (`flattened.flattened`).
    """

    bindings: list[Binding]
    left: list[Left]
    pairs: list[Partner]
    missing: list[Op] = field(default_factory=list)
    extra: list[Op] = field(default_factory=list)
    rows: dict[tuple[int, str], Segments] = field(default_factory=dict)

    @property
    def undecided(self) -> list[Left]:
        """What can't be decided."""
        return [one for one in self.left if one.candidates]


def to_torch(found: Map, keras: Arrays, torch: Arrays) -> Arrays:
    """Put Keras's arrays where the map has them; what has no partner there is set so that it does nothing.

    Args:
        torch: PyTorch's arrays, in the dtype that is wanted; they stay as they are.
    """
    made = {name: array.copy() for name, array in torch.items()}
    for one in found.left:
        if one.side == "torch" and one.cause in ("bias", "extra-parameter"):
            made[one.name][...] = NEUTRAL.get(one.role, 0.0)
    for binding in found.bindings:
        target = made[binding.torch]
        values = binding.layout.apply(keras[binding.keras])
        if binding.part is None:
            target[...] = values
        else:
            target.reshape(-1)[binding.part.reshape(-1)] = values.reshape(-1)
    return made


def to_keras(found: Map, torch: Arrays, keras: Arrays, total: bool = False) -> Arrays:
    """Bring PyTorch's arrays (or their gradients, then ``total``) back into Keras's layout.

    Args:
        keras: arrays of Keras's shapes; they stay as they are.
        total: several copies of one array are added up, as its gradient is the sum of theirs.
    """
    made = {name: array.copy() for name, array in keras.items()}
    begun: set[str] = set()
    for binding in found.bindings:
        if binding.torch not in torch or binding.keras not in made:
            continue
        values = torch[binding.torch]
        flat = values.reshape(-1) if binding.part is None else values.reshape(-1)[binding.part.reshape(-1)]
        where = binding.layout.index(made[binding.keras].shape).reshape(-1)
        target = made[binding.keras].reshape(-1)
        if total and binding.keras not in begun:
            target[...] = 0
        begun.add(binding.keras)
        if total:
            np.add.at(target, where, flat)
        else:
            target[where] = flat
    return made
