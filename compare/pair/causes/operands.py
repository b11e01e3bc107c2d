"""What takes several values: their order, what is done with them, and the number that stands beside one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from compare.pair.causes.trial import Scene, Trial, module, number, path

COMBINED = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "average")
MERGES = {"sum": "add", "mul": "multiply", "ave": "average"}  # of a recurrent layer in both directions
MOST = 4  # values whose orders are tried
SMALL = 0.1  # a number that is added and below this is there to keep a root or a quotient finite


def orders(scene: Scene) -> Iterator[Trial]:
    """Exchange the values that one of PyTorch's calls takes."""
    kind = scene.call.kind
    if kind not in ("concat", "divide", "matmul"):
        return
    for other in scene.having(kind):
        count = len(other.inputs)
        if not 1 < count <= MOST:
            continue
        for order in list(permutations(range(count)))[1:]:
            edit = {"call": other.index, "do": "exchange", "order": list(order)}
            name = other.facts.get("function", other.kind)
            text = f"{name} takes the same values in another order than Keras's {scene.call.owner}"
            code = f"# {name} in {path(other.place)}: its values in the order {list(order)}"
            yield Trial("unknown", [edit], module(other), text, code)


def combined(scene: Scene) -> Iterator[Trial]:
    """Do with two values what Keras does."""
    kind = MERGES.get(scene.call.facts.get("merge", ""), scene.call.kind)
    if kind not in COMBINED:
        return
    for other in scene.having(*COMBINED):
        if len(other.inputs) != 2 or other.kind == kind:
            continue
        edit = {"call": other.index, "do": "function", "name": "combine", "options": {"kind": kind}}
        text = f"Keras's {scene.call.owner} takes the {kind} of two values, PyTorch the {other.kind}"
        yield Trial("unknown", [edit], module(other), text, f"torch.{kind}(a, b)", scene.call.owner)


def numbers(scene: Scene) -> Iterator[Trial]:
    """Give one of PyTorch's operations Keras's number."""
    own, kind = scene.call.facts.get("other"), scene.call.kind
    if not isinstance(own, float) or kind not in ("add", "subtract", "multiply", "divide"):
        return
    for other in list(scene.having(kind))[:3]:
        value = other.facts.get("other")
        if not isinstance(value, (int, float)) or value == own or len(other.inputs) != 1:
            continue
        small = kind == "add" and max(abs(own), abs(value)) < SMALL
        cause = "epsilon" if small else "input-scale" if scene.at_input else "scale"
        edit = {"call": other.index, "do": "set", "arguments": {"other": own}}
        text = f"{kind} by {number(own)} in Keras, by {number(float(value))} in PyTorch"
        yield Trial(cause, [edit], module(other), text, f"{number(own)}  # in {path(other.place)}'s forward")
