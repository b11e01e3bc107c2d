"""What PyTorch's own defaults make of a step, predicted from Keras's arrays: what is left is rounding, or a mistake.

The rules are PyTorch's (`compare.parity.formulas`). What can be set (decays, epsilons, rates) is no default: it is
compared as configuration.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compare.pair.records import Arrays, Call
from compare.parity import formulas
from compare.parity.figures import Distance, compare
from compare.parity.tolerances import TOLERANCES

VARIANCE = "PyTorch's moving variance takes in the batch's divided by n - 1, Keras's by n"
OPTIMIZER = "PyTorch's {} has its own formula: {}"
FORMULAS = {
    "adam": "epsilon is added after the correction of the second moment, in Keras before it",
    "adamw": "epsilon is added after the correction of the second moment, in Keras before it",
    "rmsprop": "epsilon is added to the root, in Keras under it",
    "adagrad": "epsilon is added to the root, in Keras under it",
}


def statistics(calls: list[Call], before: Arrays, keras: Arrays) -> Arrays:
    """Moving variances after a step by PyTorch's rule.

    Args:
        calls: of PyTorch's pass in training mode.
        before, keras: all arrays before the step, and as Keras's rule leaves them, both as they lie in PyTorch.
    """
    found: Arrays = {}
    seen: dict[str, int] = {}
    for call in calls:
        names = {slot.role: slot.name for slot in call.slots}
        if call.kind != "batch_norm" or "variance" not in names or not call.facts.get("training"):
            continue
        name, share = names["variance"], call.facts.get("momentum", 0.1)
        seen[name] = seen.get(name, 0) + 1
        if call.facts.get("variance") == "biased" or call.facts.get("cumulative") or not share:
            continue
        shape = call.facts["shape"]
        count = int(np.prod(shape)) // shape[1]
        batch = formulas.batch_of(before[name], keras[name], 1 - share)
        found[name] = formulas.moved(before[name], batch, 1 - share, count)
    # one that is called twice in a step takes in two variances, which can't be told apart afterwards
    return {name: array for name, array in found.items() if seen[name] == 1}


def parameters(settings: dict[str, Any], before: Arrays, gradients: Arrays) -> Arrays:
    """Parameters after the first step by PyTorch's formula.

    Args:
        settings: of the optimizer, as `torch_impl.updating.make` takes them.
    """
    coupled = settings.get("coupled", {})
    return {
        name: _stepped(settings, before[name], gradient + coupled.get(name, 0.0) * before[name])
        for name, gradient in gradients.items()
    }


def _stepped(settings: dict[str, Any], weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    kind, rate, none = settings["kind"], settings["learning_rate"], np.zeros(())
    if kind == "sgd":
        ahead = settings.get("momentum", 0.0) if settings.get("nesterov") else 0.0
        return weight - rate * (gradient + ahead * gradient)
    if kind == "rmsprop":
        decay, epsilon = settings.get("decays", [0.9])[0], settings.get("epsilon", 1e-7)
        centered = bool(settings.get("centered"))
        return formulas.rmsprop(weight, gradient, none, rate, decay, epsilon, centered)[0]
    if kind == "adagrad":
        start, epsilon = settings.get("accumulator", 0.1), settings.get("epsilon", 1e-7)
        return weight - rate * gradient / (np.sqrt(start + gradient**2) + epsilon)
    decay = settings.get("weight_decay", 0.0) if kind == "adamw" else 0.0
    given = (settings.get("decays", (0.9, 0.999)), settings.get("epsilon", 1e-7), decay)
    return formulas.adam(weight, gradient, (none, none), 1, rate, *given)[0]


def rows(predicted: Arrays, own: Arrays, keras: Arrays, dtype: str) -> list[Distance]:
    """Compare what PyTorch's own step left with what was predicted; ``difference`` is how far it is from Keras's."""
    made = []
    for name, array in predicted.items():
        row = compare(name, own[name], array, TOLERANCES["native"].bar(dtype), step=1)
        if name in keras and keras[name].shape == array.shape:
            row.difference = compare(name, own[name], keras[name], row.bar).relative
        made.append(row)
    return made


def told(settings: dict[str, Any], statistics_: Arrays) -> list[str]:
    """What the defaults make different, in words."""
    lines = [VARIANCE] if statistics_ else []
    if settings["kind"] in FORMULAS:
        lines.append(OPTIMIZER.format(settings["kind"], FORMULAS[settings["kind"]]))
    return lines
