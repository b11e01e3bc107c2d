"""A recurrent layer's order of gates, its activations, and where its reset gate stands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module, path
from compare.pair.records import Call

KINDS = ("lstm", "gru", "rnn")


def cells(scene: Scene) -> Iterator[Trial]:
    """Compute PyTorch's layer with Keras's activations, reset gate or order of gates."""
    call = scene.call
    if call.kind not in KINDS:
        if call.type.startswith("ConvLSTM"):
            yield from _by_hand(scene, "lstm")
        return
    for other in scene.having(call.kind):
        yield from _axes(scene, other)
        yield from _states(scene, other)
        yield from _resets(scene, other)
        yield from _activations(scene, other)
        yield from _orders(scene, other)
    yield from _by_hand(scene, call.kind)


def _computed(scene: Scene, other: Call, **options: object) -> list[dict]:
    """The edits that compute a layer otherwise: one, or one a step where a cell is called in a loop."""
    calls = [other]
    if other.facts.get("cell"):
        calls = [c for c in scene.torch.calls if (c.kind, c.place) == (other.kind, other.place)]
    made = {"do": "function", "name": scene.call.kind, "options": options}
    return [{"call": call.index, **made} for call in calls]


def _axes(scene: Scene, other: Call) -> Iterator[Trial]:
    """Batch and steps taken for one another."""
    first = bool(other.facts.get("batch_first"))
    if not other.facts.get("cell"):
        text = f"PyTorch takes the {'steps for the batch' if first else 'batch for the steps'}"
        edits = _computed(scene, other, turned=True)
        yield Trial("axis", edits, module(other), text, f"{path(other.place)}.batch_first = {not first}")


def _states(scene: Scene, other: Call) -> Iterator[Trial]:
    """Let PyTorch's layers begin with the states that Keras's are given."""
    pairs = [p for p in scene.pairs if any(other.index == c.index for c in p.torch.calls)]
    calls = [p.keras.calls[0] for p in sorted(pairs, key=lambda p: p.torch.facts.get("layer", 0))]
    values = scene.keras.values
    given = [[values[name] for name in call.inputs[1:] if name in values] for call in calls]
    count = 2 if other.kind == "lstm" else 1
    whole = [states for states in given if len(states) == count]
    if other.facts.get("cell") or other.facts.get("bidirectional") or not whole:
        return
    none = [np.zeros_like(state) for state in whole[0]]
    rows = [states if len(states) == count else none for states in given]
    stacks = [np.stack([states[n] for states in rows]) for n in range(count)]
    edit = {"call": other.index, "do": "set", "arguments": {"hx": stacks if count > 1 else stacks[0]}}
    text = f"Keras's {scene.call.owner} begins with states that PyTorch's {module(other)} isn't given"
    code = (
        f"{path(other.place)}(x, states)  # the states of the layers that Keras has them from, in its order"
    )
    yield Trial("unknown", [edit], module(other), text, code, scene.call.owner)


def _resets(scene: Scene, other: Call) -> Iterator[Trial]:
    if scene.call.facts.get("reset_after") is False:
        text = "Keras resets the state before the product (reset_after=False), PyTorch's GRU after it"
        code = "keras.layers.GRU(..., reset_after=True)  # PyTorch's nn.GRU knows no other; or write the cell out"
        yield Trial("reset-after", _computed(scene, other, reset_after=False), module(other), text, code)


def _activations(scene: Scene, other: Call) -> Iterator[Trial]:
    facts = scene.call.facts
    made = {"activation": facts["activation"], "recurrent": facts["recurrent"]}
    if (facts["activation"], facts["recurrent"]) not in (
        ("tanh", "sigmoid"),
        (other.facts.get("activation"), "linear"),
    ):
        if scene.call.kind == "rnn":
            made = {"activation": facts["activation"]}
        elif facts.get("reset_after") is False:
            made["reset_after"] = False
        text = f"activations {facts['activation']} and {facts['recurrent']} in Keras, tanh and sigmoid in PyTorch"
        code = f"keras.layers.{scene.call.type}(...)  # with activation tanh, recurrent_activation sigmoid"
        yield Trial("activation", _computed(scene, other, **made), module(other), text, code)


def _orders(scene: Scene, other: Call) -> Iterator[Trial]:
    usual = {"lstm": "ifgo", "gru": "rzn"}.get(scene.call.kind)
    if usual is None:
        return
    for order in permutations(usual):
        if "".join(order) != usual:
            edits = _computed(scene, other, gates="".join(order))
            text = f"the gates lie in the order {', '.join(order)}, not {', '.join(usual)}"
            yield Trial("gate-order", edits, module(other), text, f"# reorder the gates at {module(other)}")


def _by_hand(scene: Scene, kind: str) -> Iterator[Trial]:
    """A cell written out: what its products are split into changes places, at every step alike."""
    if any(scene.having(kind)):
        return
    splits = [c for c in scene.torch.calls if c.kind == "split" and c.place == _place(scene)]
    count = {"lstm": 4, "gru": 3}.get(kind, 0)
    splits = [c for c in splits if len(c.outputs) == count]
    for order in list(permutations(range(count)))[1:] if splits else ():
        edits = [{"call": c.index, "do": "parts", "order": list(order)} for c in splits]
        text = f"the gates are taken in another order: {', '.join(map(str, order))} of Keras's"
        yield Trial(
            "gate-order",
            edits,
            module(splits[0]),
            text,
            f"chunks in the order {order}  # in {module(splits[0])}",
        )


def _place(scene: Scene) -> str:
    if scene.pair is None:
        return ""
    place = scene.pair.torch.calls[0].place
    splits = {c.place for c in scene.torch.calls if c.kind == "split"}
    while place not in splits and place:
        place = place.rpartition(".")[0]
    return place
