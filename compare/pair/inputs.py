"""What both models are given: random inputs of the shapes they take, and targets for their outputs."""

from __future__ import annotations

import re
from math import prod

import numpy as np

from compare.spec import InputError

BATCH = 4


def shapes(text: str | None, wanted: list[dict]) -> list[tuple[tuple[int, ...], bool, int]]:
    """The shape of each input without the batch, whether it holds integers, and below what.

    Args:
        text: as ``--input`` has it, ``32x32x3``, several separated by commas; None takes what the model says.
        wanted: what the Keras model says of its inputs (`keras_impl.persons.inputs`).

    Raises:
        InputError: a shape is open or isn't one.
    """
    given = [_shape(part) for part in text.replace(" ", ",").split(",") if part] if text else None
    if given is None:
        given = [tuple(one["shape"][1:]) for one in wanted]
        if not given:
            raise InputError("--input: the Keras model doesn't say what it takes; give a shape like 32x32x3")
        for one, shape in zip(wanted, given, strict=True):
            if any(size is None for size in shape):
                raise InputError(f"--input: {one['name']} is {_told(shape)}; give a shape without open sizes")
    if wanted and len(given) != len(wanted):
        raise InputError(f"--input: {len(given)} shapes for {len(wanted)} inputs of the Keras model")
    for one, shape in zip(wanted, given, strict=False):
        fits = len(one["shape"]) - 1 == len(shape) and all(
            a is None or a == b for a, b in zip(one["shape"][1:], shape, strict=True)
        )
        if not fits:
            raise InputError(
                f"--input {_told(shape)}: the Keras model takes {_told(tuple(one['shape'][1:]))}"
            )
    facts = wanted or [{"integer": False, "below": 0}] * len(given)
    return [(shape, one["integer"], one["below"]) for shape, one in zip(given, facts, strict=True)]


def _shape(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(x\d+)*", text) or "0" in text.split("x"):
        raise InputError(f"--input {text}: a shape is like 32x32x3, several are separated by commas")
    return tuple(int(part) for part in text.split("x"))


def _told(shape: tuple) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def integers(
    wanted: list[tuple[tuple[int, ...], bool, int]], record: dict
) -> list[tuple[tuple[int, ...], bool, int]]:
    """What the inputs of a model are that doesn't say: integers where an embedding reads them.

    Args:
        record: what was seen of the model (`keras_impl.observing.observe`).
    """
    made = []
    for name, (shape, integer, below) in zip(record["inputs"], wanted, strict=True):
        tables = [call for call in record["calls"] if call["kind"] == "embedding" and name in call["inputs"]]
        rows = [one["shape"][0] for call in tables for one in call["arrays"]]
        made.append((shape, True, min(rows)) if rows else (shape, integer, below))
    return made


def draw(
    wanted: list[tuple[tuple[int, ...], bool, int]], seed: int, batch: int, dtype: str
) -> list[np.ndarray]:
    """Random inputs of one batch: numbers from a normal distribution, integers evenly."""
    generator = np.random.default_rng([seed, batch])
    return [
        generator.integers(0, max(below, 1), (BATCH, *shape))
        if integer
        else generator.normal(size=(BATCH, *shape)).astype(dtype)
        for shape, integer, below in wanted
    ]


def targets(outputs: list[tuple[int, ...]], kind: str, seed: int, batch: int, dtype: str) -> list[np.ndarray]:
    """Targets for outputs of these shapes: one class, yes or no, or numbers."""
    generator = np.random.default_rng([seed, batch, 1])
    found = []
    for shape in outputs:
        if kind == "crossentropy":
            classes = generator.integers(0, shape[-1], prod(shape[:-1]))
            found.append(np.eye(shape[-1])[classes].reshape(shape).astype(dtype))
        elif kind == "binary":
            found.append(generator.integers(0, 2, shape).astype(dtype))
        else:
            found.append(generator.normal(size=shape).astype(dtype))
    return found
