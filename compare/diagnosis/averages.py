"""What moving averages go to: the means of the statistics of the batches that reached a normalisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from compare.diagnosis.side import Layer, Seen, Statistics


def by_call(seen: dict[str, Seen]) -> Statistics:
    """The mean of the batches' statistics, by call."""
    return {name: (one.batch_mean, one.batch_variance) for name, one in seen.items()}


def by_layer(seen: dict[str, Seen], layers: Iterable[Layer] = ()) -> Statistics:
    """What each layer's moving average goes to, see `of_layer`, by call."""
    decays = {row.name: row.decay for row in layers}
    found = {
        layer: of_layer(seen, layer, decays.get(layer)) for layer in {name.split("#")[0] for name in seen}
    }
    return {name: found[name.split("#")[0]] for name in seen}


def of_layer(seen: dict[str, Seen], layer: str, decay: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a layer's moving average goes to: the mean of the batches' statistics over all of the layer's calls.

    Of several calls in a pass the last counts most: each update leaves a share of what was before it.
    """
    calls = [value for call, value in seen.items() if call.split("#")[0] == layer]
    ages = np.arange(len(calls) - 1, -1, -1)
    shares = np.ones(len(calls)) if decay is None else np.asarray(decay, float) ** ages
    means, variances = [call.batch_mean for call in calls], [call.batch_variance for call in calls]
    return np.average(means, 0, shares), np.average(variances, 0, shares)
