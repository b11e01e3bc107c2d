"""What the BN layers of one of the project's models do under its policy: told by what they did with a batch.

A policy's facts are what a cell's diagnosis says of its layers; this holds them against what the layers do. A person's
model has no policy, and `compare.audit` for this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compare.gap.observed import Arrays, Step, normalised_with
from compare.spec import Behaviour

# relative, of the mean square of a layer's output; float32 rounds by less
TOLERANCE = 1e-3
Call = tuple[np.ndarray, np.ndarray, Arrays, Arrays]


def audit(side: Any, model: Any, batch: tuple[np.ndarray, ...]) -> dict[str, Behaviour]:
    """Pass a batch through a model as in training and as in evaluation, and say what each BN layer did.

    The model, its statistics and all generators of random numbers are left as they were.

    Args:
        side: of the model's framework.
        model: any, however nested; its layers may be shared, and its own call may decide what they do.
        batch: inputs first, float32 arrays, images ``(N, H, W, C)``; unlike the moving statistics, so that it
            shows which were taken.

    Returns:
        layer -> behaviour. It normalises with ``batch``, ``moving`` or ``neither``, with ``both`` where its calls
        differ, and is ``unreached`` where no data come to it.

    Raises:
        ValueError: a layer isn't built yet, or is compiled into TorchScript.
    """
    constants, trained = side.statistics.constants(model), side.behaviour.trained(model)
    fit = side.behaviour.observe(model, batch, training=True)
    evaluate = side.behaviour.observe(model, batch, training=False)
    return {
        name: Behaviour(
            _normalises_with(fit[name], epsilon),
            any(_step(call).moved("moving_mean", "moving_variance") for call in fit[name]),
            _normalises_with(evaluate[name], epsilon),
            affine_trains=name in trained,
            decay=decay,
        )
        for name, (decay, epsilon) in constants.items()
    }


def _normalises_with(calls: list[Call], epsilon: float) -> str:
    found = {normalised_with(_step(call), epsilon, TOLERANCE) for call in calls}
    return found.pop() if len(found) == 1 else "both" if found else "unreached"


def _step(call: Call) -> Step:
    """A call as a step whose target is 0: its loss is the mean square of what came out."""
    x, y, before, after = call
    plain = {"gamma": np.ones(x.shape[-1]), "beta": np.zeros(x.shape[-1])}
    return Step(x, np.zeros_like(x), float(np.mean(y**2)), {**plain, **before}, {**plain, **after})
