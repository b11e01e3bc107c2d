"""What outputs can't show: decay, epsilon, what is one array in one model and several in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compare.pair.arrays import Map
from compare.pair.causes.trial import path
from compare.pair.partners import Partner
from compare.pair.records import Held
from compare.parity.figures import close


@dataclass
class Fact:
    """A setting in which the two differ.

    Attributes:
        cause: in the verdict's words.
        text: what it is in both.
        code: the line that makes PyTorch's equal.
        order: of Keras's call that it is a setting of; below zero for what is of the whole model.
    """

    cause: str
    keras: str
    torch: str
    text: str
    code: str = ""
    order: int = -1


def norms(pairs: list[Partner]) -> list[Fact]:
    """Decay and epsilon of normalisations that both models call."""
    found = []
    for pair in pairs:
        ours, theirs, order = pair.keras.facts, pair.torch.facts, pair.keras.calls[0].index
        if (
            "epsilon" in ours
            and isinstance(theirs.get("eps"), float)
            and not close(ours["epsilon"], theirs["eps"])
        ):
            text = f"epsilon is {ours['epsilon']:g} in Keras and {theirs['eps']:g} in PyTorch"
            code = f"{path(pair.torch.place)}.eps = {ours['epsilon']:g}"
            found.append(Fact("epsilon", pair.keras.owner, pair.torch.place, text, code, order))
        if (
            pair.keras.kind != "batch_norm"
            or pair.torch.kind != "batch_norm"
            or not ours.get("trainable", True)
        ):
            continue
        if theirs.get("cumulative"):
            text = f"Keras keeps {ours['decay']:g} of the moving statistics, PyTorch averages all batches"
        else:
            kept = 1 - theirs.get("momentum", 0.1)
            if np.isclose(ours["decay"], kept, rtol=1e-6, atol=1e-9):
                continue
            text = f"Keras keeps {ours['decay']:g} of the moving statistics, PyTorch {kept:g}"
        code = f"{path(pair.torch.place)}.momentum = {1 - ours['decay']:g}"
        found.append(Fact("decay", pair.keras.owner, pair.torch.place, text, code, order))
    return sorted(found, key=lambda fact: fact.order)


def sharing(found: Map, torch: dict[str, Held]) -> list[Fact]:
    """Arrays that are one in one model and several in the other."""
    by_keras: dict[str, list] = {}
    by_torch: dict[str, list] = {}
    for binding in found.bindings:
        if binding.layout.whole:
            by_keras.setdefault(binding.keras, []).append(binding)
        if binding.part is None:
            by_torch.setdefault(torch[binding.torch].alias or binding.torch, []).append(binding)
    facts = []
    for bindings in by_keras.values():
        names = dict.fromkeys(torch[b.torch].alias or b.torch for b in bindings)
        if len(names) > 1:
            text = f"{bindings[0].keras} is one array in Keras and {' and '.join(names)} in PyTorch"
            first, second = list(names)[:2]
            code = f"{path(second)} = {path(first)}"
            facts.append(Fact("sharing", bindings[0].keras_place, bindings[1].torch_place, text, code))
    for name, bindings in by_torch.items():
        ours = dict.fromkeys(b.keras for b in bindings)
        if len(ours) > 1:
            text = f"{' and '.join(ours)} are two arrays in Keras and one, {name}, in PyTorch"
            code = f"{path(bindings[1].torch_place)} = copy.deepcopy({path(bindings[0].torch_place)})"
            facts.append(Fact("sharing", bindings[1].keras_place, bindings[1].torch_place, text, code))
    return facts[:1]


def tables(pairs: list[Partner]) -> list[Fact]:
    """Rows of an embedding that PyTorch never trains: Keras's layer has none such."""
    found = []
    for pair in pairs:
        row = pair.torch.facts.get("padding_idx")
        if (
            pair.torch.kind == "embedding"
            and row is not None
            and pair.keras.calls[0].facts.get("trains", True)
        ):
            text = f"PyTorch keeps row {row} of the embedding as it is (padding_idx), Keras trains it"
            code = f"{path(pair.torch.place)}.padding_idx = None"
            order = pair.keras.calls[0].index
            found.append(Fact("extra-parameter", pair.keras.owner, pair.torch.place, text, code, order))
    return found
