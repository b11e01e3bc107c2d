"""A recurrent layer's order of gates, its activations, and where its reset gate stands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from compare.pair.causes.trial import Scene, Trial, module, path

KINDS = ("lstm", "gru", "rnn")


def cells(scene: Scene) -> Iterator[Trial]:
    """Compute PyTorch's layer with Keras's activations, reset gate or order of gates."""
    call = scene.call
    if call.kind not in KINDS:
        return
    for other in scene.having(call.kind):
        yield from _resets(scene, other)
        yield from _activations(scene, other)
        yield from _orders(scene, other)
    yield from _by_hand(scene)


def _function(index: int, kind: str, **options: object) -> dict:
    return {"call": index, "do": "function", "name": kind, "options": options}


def _resets(scene: Scene, other) -> Iterator[Trial]:
    if scene.call.facts.get("reset_after") is False:
        text = "Keras resets the state before the product (reset_after=False), PyTorch's GRU after it"
        code = "keras.layers.GRU(..., reset_after=True)  # PyTorch's nn.GRU knows no other; or write the cell out"
        yield Trial(
            "reset-after", [_function(other.index, "gru", reset_after=False)], module(other), text, code
        )


def _activations(scene: Scene, other) -> Iterator[Trial]:
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
        yield Trial(
            "activation", [_function(other.index, scene.call.kind, **made)], module(other), text, code
        )


def _orders(scene: Scene, other) -> Iterator[Trial]:
    usual = {"lstm": "ifgo", "gru": "rzn"}.get(scene.call.kind)
    if usual is None:
        return
    for order in permutations(usual):
        if "".join(order) != usual:
            edit = _function(other.index, scene.call.kind, gates="".join(order))
            text = f"the gates lie in the order {', '.join(order)}, not {', '.join(usual)}"
            yield Trial("gate-order", [edit], module(other), text, f"{path(other.place)}: reorder the gates")


def _by_hand(scene: Scene) -> Iterator[Trial]:
    """A cell written out: what its products are split into changes places, at every step alike."""
    if any(scene.having(scene.call.kind)):
        return
    splits = [c for c in scene.torch.calls if c.kind == "split" and c.place == _place(scene)]
    count = {"lstm": 4, "gru": 3}.get(scene.call.kind, 0)
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
    yield from _reset_by_hand(scene)


def _place(scene: Scene) -> str:
    if scene.pair is None:
        return ""
    place = scene.pair.torch.calls[0].place
    splits = {c.place for c in scene.torch.calls if c.kind == "split"}
    while place not in splits and place:
        place = place.rpartition(".")[0]
    return place


def _reset_by_hand(scene: Scene) -> Iterator[Trial]:
    return iter(())
