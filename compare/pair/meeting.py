"""Both models loaded and looked at, and the map between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from compare.pair import data, inputs, mapfile
from compare.pair.arrays import Map
from compare.pair.asked import Asked, Report
from compare.pair.ends import Pair
from compare.spec import InputError


@dataclass
class Met:
    """Both models loaded, and the map between them.

    Attributes:
        wanted: what an input is: shape, integers, below what.
        facts: what the two say of themselves.
        batches, targets: a person's own data, a batch for each step and one to evaluate; empty for random ones.
    """

    map: Map
    inputs: list[np.ndarray]
    wanted: list
    facts: tuple[dict, dict]
    arrangement: tuple[str, ...]
    batches: list[list[np.ndarray]] = field(default_factory=list)
    targets: list[list[np.ndarray]] = field(default_factory=list)


def meet(pair: Pair, asked: Asked, report: Report) -> Met:
    """Load both models and find the map.

    Raises:
        InputError: a model can't be had or run.
    """
    report("loading both models")
    facts = pair.both("open", (asked.keras.text,), (asked.torch.text,))
    wanted, batch, own = _inputs(pair, asked, facts[0]["inputs"])
    report("looking at the Keras model")
    record = pair.keras.call("observe", batch, False, pair.file("values"))
    whole = inputs.integers(wanted, record) if not facts[0]["inputs"] else wanted
    if whole != wanted and not own[0]:
        wanted, batch = whole, inputs.draw(whole, asked.seed, 0, asked.dtype)
        record = pair.keras.call("observe", batch, False, pair.file("values"))
    pair.keras.call("arrays", pair.file("arrays"))
    held = pair.keras.call("held")
    report("finding the map")
    given = mapfile.read(asked.map) if asked.map is not None else {}
    met = pair.torch.call("meet", record, pair.file("values"), pair.file("arrays"), held, batch, given)
    if asked.source == "torch":
        report("moving PyTorch's weights into the Keras model")
        pair.torch.call("for_keras", pair.file("arrays"))
        pair.keras.call("assign", pair.file("arrays"))
        record = pair.keras.call("observe", batch, False, pair.file("values"))
        pair.keras.call("arrays", pair.file("arrays"))
        pair.torch.call("adopt", record, pair.file("values"), pair.file("arrays"))
    return Met(met["map"], batch, wanted, facts, met["arrangement"], *own)


def _inputs(pair: Pair, asked: Asked, told: list[dict]) -> tuple[list, list[np.ndarray], tuple[list, list]]:
    """What both are given: shapes, the first batch, and all batches and targets where they are a person's own."""
    if asked.data is None:
        wanted = inputs.shapes(asked.shape, told)
        return wanted, inputs.draw(wanted, asked.seed, 0, asked.dtype), ([], [])
    if asked.shape is not None:
        raise InputError("--input and --data: give one of the two")
    batches, targets = data.read(pair, asked.data, told, asked.steps)
    batches = [[x.astype(asked.dtype) if x.dtype.kind == "f" else x for x in batch] for batch in batches]
    wanted = [(x.shape[1:], x.dtype.kind != "f", 0) for x in batches[0]]
    return wanted, batches[0], (batches, targets)
