"""A recurrent cell that is written out: computed in other ways from Keras's arrays, until one is what PyTorch has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module
from compare.pair.matching import Values

Cell = Callable[..., tuple[np.ndarray, ...]]
CLOSE = 1e-6
FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_sigmoid of old": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}
GATES = {"lstm": ("input", "forget", "new", "output"), "gru": ("update", "reset", "new")}


def written_out(scene: Scene) -> Iterator[Trial]:
    """Find which other way to compute the layer gives what PyTorch has."""
    call, pair = scene.call, scene.pair
    plain = call.kind in GATES and call.facts.get("directions") == 1 and "mask" not in call.facts
    if not plain or pair is None or any(scene.having(call.kind)) or len(call.inputs) != 1:
        return
    held = {role: scene.arrays[slot.name] for role, slot in pair.keras.slots.items()}
    given, wanted = scene.keras.values[call.inputs[0]], scene.keras.values[call.outputs[0]]
    if not {"kernel", "recurrent_kernel"} <= set(held) or given.ndim != 3:
        return
    has = Values(scene.torch, {}, CLOSE)
    given = given[:, ::-1] if call.facts.get("backwards") else given
    for cause, text, code, options in _ways(call.kind, call.facts):
        steps = _run(call.kind, given, held, options)
        match = has.find(steps if wanted.ndim == 3 else steps[:, -1])
        maker = scene.torch.maker.get(match.torch) if match is not None else None
        if match is None or maker is None:
            continue
        back = wanted.transpose(np.argsort(match.axes)) if wanted.ndim == len(match.axes) else wanted
        edit = {"call": maker.index, "do": "after", "name": "value", "options": {"array": back}}
        yield Trial(cause, [edit], module(maker), text, code, call.owner)


def _ways(kind: str, facts: dict) -> Iterator[tuple[str, str, str, dict]]:
    """Cause, words, code and options of each way that is tried."""
    own = {
        "activation": facts["activation"],
        "recurrent": facts["recurrent"],
        "after": facts.get("reset_after"),
    }
    names = GATES[kind]
    if kind == "gru":
        here, there = ("after", "before") if own["after"] else ("before", "after")
        text = f"Keras resets the state {here} the product (reset_after={own['after']}), PyTorch {there} it"
        code = "n = torch.tanh(W x + r * (U h))" if own["after"] else "n = torch.tanh(W x + U (r * h))"
        yield "reset-after", text, code, {**own, "after": not own["after"]}
        text = "PyTorch's update gate keeps the new state where Keras's keeps the old one"
        yield "gate-order", text, "h = z * h + (1 - z) * n", {**own, "kept": False}
    else:
        text = "PyTorch adds 1 to the forget gate; Keras has that in its bias from the start"
        yield "bias", text, "# without + 1 at the forget gate", {**own, "forget": 1.0}
    for order in list(permutations(range(len(names))))[1:]:
        told = ", ".join(names[n] for n in np.argsort(order))
        text = f"PyTorch takes the gates as {told}; they lie as {', '.join(names)}"
        code = f"# chunks in the order {', '.join(names)}"
        yield "gate-order", text, code, {**own, "order": order}
        if kind == "gru":
            text += ", and its update gate keeps the new state where Keras's keeps the old one"
            yield "gate-order", text, code, {**own, "order": order, "kept": False}
    for name in FUNCTIONS:
        for key in ("recurrent", "activation"):
            if name != own[key]:
                what = "gates" if key == "recurrent" else "state"
                text = f"the function of the {what} is {own[key]} in Keras, {name} in PyTorch"
                yield "activation", text, f"# {own[key]} for {name}", {**own, key: name}


def _run(kind: str, given: np.ndarray, held: dict[str, np.ndarray], options: dict) -> np.ndarray:
    """Every step's state, ``(N, T, units)``."""
    units = held["recurrent_kernel"].shape[0]
    bias = held.get("bias", np.zeros(held["kernel"].shape[1]))
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    state = (np.zeros((len(given), units)),) * 2
    inner, outer = FUNCTIONS.get(options["recurrent"]), FUNCTIONS.get(options["activation"])
    if inner is None or outer is None:
        return np.zeros((len(given), given.shape[1], units))
    steps = []
    for t in range(given.shape[1]):
        own = np.split(given[:, t] @ held["kernel"] + both[0], len(GATES[kind]), 1)
        order = options.get("order", range(len(own)))
        own = [own[n] for n in order]
        if kind == "lstm":
            more = np.split(state[0] @ held["recurrent_kernel"] + both[1], 4, 1)
            i, f, g, o = (a + more[n] for a, n in zip(own, order, strict=True))
            c = inner(f + options.get("forget", 0.0)) * state[1] + inner(i) * outer(g)
            state = (inner(o) * outer(c), c)
        else:
            state = (
                _gru(own, state[0], (held["recurrent_kernel"], both[1]), order, (inner, outer), options),
            ) * 2
        steps.append(state[0])
    return np.stack(steps, 1)


def _gru(own: list, h: np.ndarray, weights: tuple, order, functions: tuple, options: dict) -> np.ndarray:
    kernels, biases = np.split(weights[0], 3, 1), np.split(weights[1], 3)
    kernels, biases = [kernels[n] for n in order], [biases[n] for n in order]
    inner, outer = functions
    z, r = (inner(own[n] + h @ kernels[n] + biases[n]) for n in (0, 1))
    after = r * (h @ kernels[2] + biases[2])
    n = outer(own[2] + (after if options["after"] else (r * h) @ kernels[2] + biases[2]))
    return z * h + (1 - z) * n if options.get("kept", True) else (1 - z) * h + z * n
