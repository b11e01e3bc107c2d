"""Which operation of the one model is which of the other, from structure: type, shape, place, names, order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from compare.pair.graph import Op, colours

DEPTH = 40
# words that mean the same
SYNONYMS = {
    "query": "q", "key": "k", "value": "v", "qproj": "q", "kproj": "k", "vproj": "v", "wq": "q", "wk": "k",
    "wv": "v", "attentionoutput": "out", "outproj": "out", "proj": "out", "wo": "out", "linear": "dense",
    "fc": "dense", "convolution": "conv", "conv2d": "conv", "conv1d": "conv", "batchnormalization": "bn",
    "bn": "bn", "norm": "norm", "layernorm": "norm", "ln": "norm", "embedding": "emb", "embeddings": "emb",
}  # fmt: skip


@dataclass(eq=False)
class Partner:
    """Two operations taken for one another.

    Attributes:
        why: what decided.
        rivals: PyTorch operations that structure can't tell from this one.
        rows: which rows of PyTorch's arrays are this one's; None for all.
        keras_gates: whether PyTorch's gates lie in Keras's order, as a cell that is written out may have them.
        gate: which of Keras's gates these are the arrays of, where each has its own; None for all.
        turned: whether an array whose axes are equally long lies with its channels first in PyTorch.
        options: other settings of these two that the values may decide for.
    """

    keras: Op
    torch: Op
    why: str
    rivals: list[Op]
    rows: np.ndarray | None = None
    keras_gates: bool = False
    gate: int | None = None
    turned: bool = False
    options: list[dict[str, Any]] = field(default_factory=list)


def partners(keras: list[Op], torch: list[Op]) -> list[Partner]:
    """Pair operations of one label, the best places in the graph first."""
    depth = min(DEPTH, max(len(keras), len(torch), 1))
    tables = {
        towards: (colours(keras, depth, towards), colours(torch, depth, towards))
        for towards in ("before", "after")
    }
    found: list[Partner] = []
    for label in dict.fromkeys(op.label for op in keras):
        ours = [op for op in keras if op.label == label]
        theirs = [op for op in torch if op.label == label]
        if not theirs:
            continue
        if len(ours) == len(theirs) == 1:
            found.append(Partner(ours[0], theirs[0], "the only one of its type and shape", []))
            continue
        ours, theirs = (sorted(ops, key=lambda op: op.rank) for ops in (ours, theirs))
        found += _assigned(ours, theirs, tables, depth, (len(keras), len(torch)))
    return sorted(found, key=lambda one: one.keras.number)


def _assigned(
    ours: list[Op], theirs: list[Op], tables: dict, depth: int, counts: tuple[int, int]
) -> list[Partner]:
    before, after = (_agreement(tables[towards], ours, theirs) for towards in ("before", "after"))
    # a kernel of 1x3 doesn't go into one of 3x1, though a mistake may have exchanged the two
    places = (before + after) / depth + 0.5 * np.array([[_lies(a, b) for b in theirs] for a in ours])
    names = np.array([[likeness(a.place, b.place) for b in theirs] for a in ours])
    # among equals the order of calls decides, by rank within the label
    order = -np.abs(np.arange(len(ours))[:, None] - np.arange(len(theirs))[None, :]) / max(counts)
    score = places + 0.1 * names + 0.05 * order
    rows, columns = linear_sum_assignment(score, maximize=True)
    found = []
    for row, column in zip(rows, columns, strict=True):
        equal = [
            n for n in range(len(theirs)) if n != column and abs(places[row, n] - places[row, column]) < 1e-9
        ]
        named = [n for n in equal if names[row, n] < names[row, column] - 0.3]
        rivals = [theirs[n] for n in equal if n not in named]
        why = "its place in the graph" if not equal else "its name" if not rivals else "the order of calls"
        found.append(Partner(ours[row], theirs[column], why, rivals))
    return found


def _lies(a: Op, b: Op) -> bool:
    """Whether a kernel's height and width are those of the other's, in this order."""
    if "kernel" not in a.slots or "kernel" not in b.slots:
        return True
    ours, theirs = a.slots["kernel"].shape, b.slots["kernel"].shape
    return len(ours) < 3 or len(ours) != len(theirs) or ours[:-2] == theirs[2:]


def _agreement(tables: tuple[np.ndarray, np.ndarray], ours: list[Op], theirs: list[Op]) -> np.ndarray:
    """To what depth the neighbourhoods of each two are the same."""
    a = tables[0][[op.number for op in ours]]
    b = tables[1][[op.number for op in theirs]]
    equal = a[:, None, :] == b[None, :, :]
    return np.cumprod(equal, axis=2).sum(axis=2).astype(float)


def likeness(a: str, b: str) -> float:
    """How much two names have in common, 0 to 1; the last parts count most."""
    x, y = _words(a), _words(b)
    if not x or not y:
        return 0.0
    common = len(set(x) & set(y)) / len(set(x) | set(y))
    return 0.5 * common + 0.5 * (x[-1] == y[-1])


def _words(name: str) -> list[str]:
    parts = [part for part in re.split(r"[/._]+", name.lower()) if part]
    joined = [SYNONYMS.get(part, part) for part in parts]
    last = "".join(parts[-2:])
    return [*joined[:-2], SYNONYMS[last]] if last in SYNONYMS else joined
