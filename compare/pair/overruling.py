"""What a person says of the map, put over what was found."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from compare.pair import layouts
from compare.pair.arrays import Binding, Left, Map
from compare.pair.layouts import Layout
from compare.pair.records import Held
from compare.spec import InputError

WHY = "the map file"


def overrule(found: Map, given: dict[str, Any], keras: dict[str, Held], torch: dict[str, Held]) -> Map:
    """Put a map file's entries over a map.

    Args:
        given: Keras's name -> PyTorch's, a list of them (or joined by ``+``), or ``{"torch", "layout", "part"}``;
            ``*`` in both stands for the same text.

    Raises:
        InputError: a name isn't there, or an array can't lie in the other.
    """
    entries = _expanded(given, keras, torch)
    if not entries:
        return found
    made = [
        binding for ours, value in entries.items() for binding in _bindings(ours, value, found, keras, torch)
    ]
    targets = {binding.torch for binding in made if binding.part is None}
    kept = [b for b in found.bindings if b.keras not in entries and b.torch not in targets]
    bound = {b.keras for b in [*kept, *made]} | {b.torch for b in [*kept, *made]}
    left = [one for one in found.left if one.name not in bound]
    gone = {b.keras for b in found.bindings} | {b.torch for b in found.bindings}
    named = {one.name for one in left}
    left += [
        Left(
            "keras" if name in keras else "torch",
            name,
            "the map file gives its partner to another",
            "extra-parameter",
        )
        for name in sorted(gone - bound - named)
    ]
    return Map([*kept, *made], left, found.pairs, found.missing, found.extra, found.rows)


def _expanded(given: dict[str, Any], keras: dict[str, Held], torch: dict[str, Held]) -> dict[str, Any]:
    """The entries with their stars replaced, the plain ones last, as they are the more particular."""
    entries: dict[str, Any] = {}
    for ours, value in sorted(given.items(), key=lambda item: "*" not in item[0]):
        if "*" not in ours:
            if ours not in keras:
                raise InputError(f"--map: Keras has no array {ours}")
            entries[ours] = value
            continue
        start, _, end = ours.partition("*")
        matching = [
            name
            for name in keras
            if name.startswith(start) and name.endswith(end) and len(name) >= len(start) + len(end)
        ]
        if not matching or not isinstance(value, str) or "*" not in value:
            raise InputError(f"--map: {ours} with a star stands for no array, or for a name without one")
        for name in matching:
            entries[name] = value.replace("*", name[len(start) : len(name) - len(end)])
    for value in entries.values():
        for name in _names(value):
            if name not in torch:
                raise InputError(f"--map: PyTorch has no array {name}")
    return entries


def _names(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value["torch"]
    return [name.strip() for name in value.split("+")] if isinstance(value, str) else list(value)


def _bindings(
    ours: str, value: Any, found: Map, keras: dict[str, Held], torch: dict[str, Held]
) -> list[Binding]:
    """An entry's bindings, laid out as the same kind of array was elsewhere, or as the shapes allow."""
    names = _names(value)
    part = _part(value, torch) if isinstance(value, dict) else None
    shape = keras[ours].shape
    places = {b.keras: b.keras_place for b in found.bindings} | {
        b.torch: b.torch_place for b in found.bindings
    }
    made = []
    size = shape[-1] // len(names) if shape else 0
    for n, name in enumerate(names):
        target = torch[name].shape if part is None else part[1]
        steps: tuple = ()
        own = tuple(shape)
        if len(names) > 1 and prod(torch[name].shape) * len(names) == prod(shape):
            steps, own = (("slice", len(shape) - 1, n * size, (n + 1) * size),), (*shape[:-1], size)
        layout = _layout(ours, name, own, target, found, value)
        index = None if part is None else part[0]
        place, module = places.get(ours, ours.rpartition("/")[0]), places.get(name, name.rpartition(".")[0])
        made.append(
            Binding(ours, name, Layout(layout.name, (*steps, *layout.steps)), WHY, "", index, place, module)
        )
    return made


def _part(value: dict[str, Any], torch: dict[str, Held]) -> tuple[np.ndarray, tuple[int, ...]] | None:
    """Rows ``[start, stop]`` of PyTorch's array, as flat places and their shape."""
    rows = value.get("part")
    if rows is None:
        return None
    shape = torch[value["torch"]].shape
    plain = isinstance(rows, list) and len(rows) == 2 and all(isinstance(row, int) for row in rows)
    if not plain or not 0 <= rows[0] < rows[1] <= shape[0]:
        raise InputError(
            f"--map: part {rows} must be [start, stop] among the {shape[0]} rows of {value['torch']}"
        )
    index = np.arange(prod(shape)).reshape(shape)[rows[0] : rows[1]]
    return index, index.shape


def _layout(ours: str, name: str, shape: tuple, target: tuple, found: Map, value: Any) -> Layout:
    wanted = value.get("layout") if isinstance(value, dict) else None
    known = [b.layout for b in found.bindings if b.keras == ours and b.torch == name]
    kinds = [
        *known,
        layouts.dense(shape, target, list(range(len(shape) - 1)), False, None) if len(shape) > 1 else None,
        *(
            layouts.conv(kind, shape, target)
            for kind in ("conv", "depthwise_conv", "conv_transpose")
            if len(shape) > 2
        ),
        layouts.same(shape, target),
        layouts.flat(shape, target),
    ]
    if wanted == "as it is":
        kinds = [layouts.same(shape, target)]
    if wanted == "transposed":
        kinds = [layouts.dense(shape, target, list(range(len(shape) - 1)), False, None)]
    fits = [one for one in kinds if one is not None]
    if wanted and wanted not in ("as it is", "transposed"):
        fits = [one for one in fits if one.name == wanted]
    if not fits:
        told = "x".join(map(str, shape)), "x".join(map(str, target))
        raise InputError(
            f"--map: {ours} of {told[0]} can't lie in {name} of {told[1]}{f' as {wanted}' if wanted else ''}"
        )
    return fits[0]
