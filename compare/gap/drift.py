"""Where in a network the moving statistics are off: layer by layer, and what each stage makes of the gap."""

from __future__ import annotations

import re
from math import ceil, log
from typing import Any

import numpy as np

from compare.gap.evaluations import Moments, Whole
from compare.gap.records import METRICS, Figures, LayerDrift, Spread
from compare.spec import LAG


def stages(trained: Whole) -> dict[str, Figures]:
    """Measure what of the gap disappears when a stage alone gets the population statistics: E minus that."""
    groups: dict[str, Moments] = {}
    for layer, pair in trained.population.items():
        groups.setdefault(stage(layer), {})[layer] = pair
    before = trained.part_under({})
    parts: dict[str, Figures] = {}
    for name, statistics in groups.items():
        after = trained.part_under(statistics)
        parts[name] = {metric: before[metric] - after[metric] for metric in METRICS}
    return parts


def stage(layer: str) -> str:
    """Name a layer's stage: ``stem``, ``conv2`` ... ``conv5`` in a ResNet50; elsewhere the layer itself."""
    block = re.match(r"(conv\d)_block\d", layer)
    return block[1] if block else {"conv1_bn": "stem"}.get(layer, layer)


def layers(trained: Whole, steps: int | None) -> list[LayerDrift]:
    """Summarise for each BN layer how far its moving statistics are from the population's.

    Variances are taken with the layer's epsilon added, as it normalises with them.

    Args:
        steps: how many updates there were; None where `fit` keeps the moving statistics.
    """
    statistics = trained.side.statistics
    moving, constants = statistics.moving(trained.model), statistics.constants(trained.model)
    rows = []
    for name, (mean, variance) in trained.population.items():
        decay, epsilon = constants[name]
        ours, theirs = variance + epsilon, moving[name][1] + epsilon
        drift = np.abs(moving[name][0] - mean) / np.sqrt(ours)
        ratio = np.log(theirs / ours)
        kl = (ratio + (ours + (moving[name][0] - mean) ** 2) / theirs - 1) / 2
        spreads = (_spread(drift), _spread(np.abs(ratio)), _spread(kl))
        rows.append(LayerDrift(name, stage(name), len(mean), *spreads, **_updates(decay, steps)))
    return rows


def _spread(channels: np.ndarray) -> Spread:
    median, p95 = np.percentile(channels, (50, 95))
    return Spread(float(median), float(p95), float(channels.max()))


def _updates(decay: float | None, steps: int | None) -> dict[str, Any]:
    """How many updates there were, and how many it takes until less than `LAG` of what was before is left."""
    if steps is None:
        return {"decay": 1.0, "steps": 0, "steps_needed": None}
    if decay is None or not 0 < decay < 1:  # a plain mean, the last batch alone, or what never moves
        return {"decay": decay, "steps": steps, "steps_needed": 1 if decay == 0 else None}
    return {"decay": decay, "steps": steps, "steps_needed": ceil(log(LAG) / log(decay))}
