"""A function for which PyTorch has another one of the same values: a square for an absolute value, for example."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compare.pair.causes.activations import FUNCTIONS
from compare.pair.causes.trial import Scene, Trial, module
from compare.pair.matching import arrangements
from compare.pair.records import Call

MOST = 6  # of PyTorch's calls that are tried
# what only brings a value into another shape
MOVING = ("pad", "getitem", "reshape", "flatten", "permute", "transpose", "squeeze", "unsqueeze", "identity", "split",
          "expand", "dropout", "concat")  # fmt: skip
LONG = ("Dot", "CosineSimilarity")  # layers of Keras's that may divide by lengths


def activations(scene: Scene) -> Iterator[Trial]:
    """Put the result of Keras's function of one value where PyTorch has another of it."""
    return (trial for trial in functions(scene) if trial.cause in ("activation", "input-scale"))


def functions(scene: Scene) -> Iterator[Trial]:
    """Put Keras's result where PyTorch has computed something else from the same values."""
    call = scene.call
    result = scene.keras.values.get(call.outputs[0]) if call.outputs else None
    if call.slots or result is None or not scene.sources or len(scene.sources) < len(set(call.inputs)):
        return
    for other in reversed(_same_inputs(scene)):
        own = scene.torch.values[other.outputs[0]]
        array = _laid_out(result, own)
        if array is None or np.array_equal(array, own):
            continue
        edit = {"call": other.index, "do": "after", "name": "value", "options": {"array": array}}
        ours, theirs = call.type or call.kind, other.facts.get("function", other.kind)
        text = f"Keras's {call.owner} computes {_told(call, ours)}, PyTorch {_told(other, theirs)}"
        code = f"x = ...  # {ours} instead of {theirs}, at {module(other)}"
        yield Trial(_cause(scene, other), [edit], module(other), text, code, call.owner)


def _same_inputs(scene: Scene) -> list[Call]:
    """PyTorch's calls that compute from the values that go into Keras's call, and from nothing else."""
    known = {match.torch for match in scene.sources}
    given = [scene.torch.values[name] for name in known]
    found: list[Call] = []
    for call in scene.region:
        fits = all(name in known or _is_one(scene, name, given) for name in call.inputs)
        if call.inputs and call.outputs and not call.slots and fits and len(found) < MOST:
            found.append(call)
            known |= set(call.outputs)
    return [
        call
        for call in found
        if call.outputs[0] in scene.torch.values and (call.kind not in MOVING or call.kind == scene.call.kind)
    ]


def _is_one(scene: Scene, name: str, given: list[np.ndarray]) -> bool:
    value = scene.torch.values.get(name)
    return value is not None and any(
        value.shape == one.shape and np.allclose(value, one, rtol=1e-9, atol=1e-12) for one in given
    )


def _laid_out(result: np.ndarray, own: np.ndarray) -> np.ndarray | None:
    """Keras's result as PyTorch's lies."""
    if result.size != own.size or own.dtype.kind != "f":
        return None
    for axes in arrangements(result.shape, own.shape):
        if result.transpose(axes).shape == own.shape:
            return result.transpose(axes)
    plain = [size for size in result.shape if size > 1] == [size for size in own.shape if size > 1]
    return result.reshape(own.shape) if plain else None


def _cause(scene: Scene, other: Call) -> str:
    """What the two functions are to each other."""
    call = scene.call
    if scene.at_input:
        return "input-scale"
    if call.type in LONG:
        return "scale"
    if call.kind in FUNCTIONS:
        return "activation"
    if call.kind == other.kind and call.facts.get("axis") is not None:
        return "unknown"
    one = len(call.inputs) == len(other.inputs) == 1
    before = scene.input(other)
    keeps = before is not None and list(before.shape) == list(other.facts.get("shape", []))
    direct = other.inputs[0] in {match.torch for match in scene.sources}
    moves = "roll" in (call.type.lower(), other.kind) or "flip" in (call.type.lower(), other.kind)
    return "activation" if one and keeps and direct and not moves else "unknown"


def _told(call: Call, name: str) -> str:
    """A function with its numbers."""
    numbers = {
        key: value
        for key, value in call.facts.items()
        if key in ("axis", "axes", "dim", "dims", "shift", "shifts", "normalize", "other", "exponent")
        and isinstance(value, (int, float, list))
    }
    told = ", ".join(f"{key} {value}" for key, value in numbers.items())
    return f"{name} ({told})" if told else name
