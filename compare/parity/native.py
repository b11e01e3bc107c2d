"""What the frameworks' own defaults make different, predicted from Keras's arrays and PyTorch's constants.

Every formula here is PyTorch's, written out in numpy float64: what is left between the prediction and what
PyTorch computed is rounding, or it is something that the defaults don't explain.
"""

from __future__ import annotations

import numpy as np

from compare.parity import formulas
from compare.parity.check import Check

Arrays = dict[str, np.ndarray]

# fact that differs -> what follows from it, and the line that makes it equal
EXPLAINED = {
    "decay": (
        "PyTorch keeps 0.9 of the old moving value, Keras 0.99",
        "nn.BatchNorm2d(channels, eps=layer.epsilon, momentum=1 - 0.99)",
    ),
    "variance": (
        "PyTorch's moving variance takes in the batch's divided by n - 1, Keras's by n: a factor n/(n-1)",
        "torch_impl.layers.BatchNorm(channels, epsilon, decay=0.99, variance='biased')",
    ),
    "epsilon": (
        "PyTorch's epsilon is 1e-8, Keras's 1e-7",
        "torch.optim.Adam(parameters, lr, eps=1e-7)  # and its place, below",
    ),
    "epsilon_place": (
        "PyTorch adds epsilon after the correction (RMSprop: outside the root), Keras before it (inside)",
        "torch_impl.optimizers.KerasAdam(parameters, lr)  # or, before step t: eps = 1e-7 / (1 - 0.999**t)**0.5",
    ),
    "decays": (
        "PyTorch's RMSprop keeps 0.99 of the mean square, Keras's 0.9",
        "torch_impl.optimizers.KerasRMSprop(parameters, lr)",
    ),
}


def explained(layer: str, fact: str) -> bool:
    """Whether a default explains that a layer's fact differs; a BN layer's epsilon is no default here."""
    return fact in EXPLAINED and (fact in ("decay", "variance")) == (layer != "optimizer")


def predict(
    check: Check, before: Arrays, after: Arrays, keras: dict, torch: dict, counts: dict[str, int]
) -> Arrays:
    """Predict what PyTorch's step from the same state gives.

    Args:
        before, after: Keras's state before its step, and its state, gradients and results after it.
        keras, torch: both configurations, layer -> facts.
        counts: BN layer -> n, the values a channel's batch statistics are over.

    Returns:
        The arrays of ``after`` that the defaults change, as PyTorch's.
    """
    predicted = _statistics(before, after, keras, torch, counts)
    for key, gradient in after.items():
        if key.startswith("gradients/"):
            name = key.removeprefix("gradients/")
            predicted |= _parameter(check, name, gradient, before, torch["optimizer"])
    return predicted


def _statistics(before: Arrays, after: Arrays, keras: dict, torch: dict, counts: dict[str, int]) -> Arrays:
    """Take the batch's statistics out of Keras's moving ones and put them into PyTorch's."""
    predicted = {}
    for layer, n in counts.items():
        if not keras[layer]["updates"]:
            continue
        ours, theirs = keras[layer]["decay"], torch[layer]["decay"]
        unbiased = torch[layer]["variance"] == "unbiased"
        for kind in ("moving_mean", "moving_variance"):
            key = f"weights/{layer}/{kind}"
            batch = formulas.batch_of(before[key], after[key], ours)
            count = n if unbiased and kind == "moving_variance" else None
            predicted[key] = formulas.moved(before[key], batch, theirs, count)
    return predicted


def _parameter(check: Check, name: str, gradient: np.ndarray, before: Arrays, facts: dict) -> Arrays:
    """One parameter's step by PyTorch's own optimizer."""
    weight, step = before[f"weights/{name}"], int(before["optimizer/step"]) + 1
    slots = {slot: before.get(f"optimizer/{slot}/{name}", np.zeros(())) for slot in ("momentum", "velocity")}
    rate = check.learning_rate
    if facts["kind"] == "sgd":
        return _sgd(name, weight, gradient, slots["momentum"], check)
    if facts["kind"] == "rmsprop":
        decay, epsilon = facts["decays"][0], facts["epsilon"]
        moved, square = formulas.rmsprop(weight, gradient, slots["velocity"], rate, decay, epsilon)
        return {f"weights/{name}": moved, f"optimizer/velocity/{name}": square}
    moments = (slots["momentum"], slots["velocity"])
    given = (facts["decays"], facts["epsilon"], facts["weight_decay"])
    moved, m, v = formulas.adam(weight, gradient, moments, step, rate, *given)
    return {f"weights/{name}": moved, f"optimizer/momentum/{name}": m, f"optimizer/velocity/{name}": v}


def _sgd(name: str, weight: np.ndarray, gradient: np.ndarray, slot: np.ndarray, check: Check) -> Arrays:
    """Keras's gradient holds the coupled decay, rounded to float32; PyTorch's step adds it."""
    decay = check.weight_decay if name.endswith("/kernel") else 0.0
    bare = gradient - float(np.float32(decay)) * weight
    momentum = check.momentum * slot - check.learning_rate * (bare + decay * weight)
    arrays = {f"weights/{name}": weight + momentum, f"gradients/{name}": bare}
    return {**arrays, f"optimizer/momentum/{name}": momentum} if check.momentum else arrays
