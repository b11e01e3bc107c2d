"""The gap in terms that add up: what lies between `fit`'s figures of an epoch and `evaluate`'s, at its end.

A letter is an evaluation on the epoch's own samples. A: `fit` itself, weights moving, dropout on. B: the weights
of the epoch's end, dropout on with the same masks, BN as in `fit`. C: as B, dropout off. D: dropout off, BN with
the samples' population statistics. P: as D, dropout on. E: `evaluate` itself. Where that had other samples or
other weights of them than `fit`, it is F, and E is the same on `fit`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, log
from typing import Literal

import numpy as np

from compare.gap.evaluations import Figures, Statistics, Whole

METRICS = ("loss", "accuracy")
LAG = 0.05  # what may be left of old moving statistics for them not to lag


@dataclass(frozen=True)
class Facts:
    """What of a training the terms depend on.

    Attributes:
        fit_statistics, evaluate_statistics: what BN normalises with.
        updates: whether `fit` moves the moving statistics.
        steps: training steps up to the end of the epoch.
        same_samples: whether `evaluate` had the samples of `fit`, with the same weights.
    """

    fit_statistics: Literal["batch", "moving"]
    evaluate_statistics: Literal["batch", "moving"]
    updates: bool
    steps: int
    same_samples: bool = True


def explain(trained: Whole, fit: Figures, evaluate: Figures, facts: Facts) -> dict:
    """Split the gap of an epoch into terms.

    Args:
        trained: the model at the end of the epoch, and the epoch's samples.
        fit, evaluate: what the framework reported: ``loss`` and ``accuracy``.
        facts: of the training.

    Returns:
        ``evaluations``, ``terms``, ``stages`` and ``layers``, as ``cell.json`` holds them; and ``penalty``, the
        weights' part of the loss in both figures, where there is one.
    """
    changes = facts.fit_statistics == "batch" and facts.evaluate_statistics == "moving"
    changes = changes and bool(trained.side.statistics.batch_norms(trained.model))
    found = {"A": _pair(fit), "B": _pair(trained.in_fit(dropout=True))}
    last = _pair(evaluate) if facts.same_samples else trained.in_evaluate()
    if changes:
        found["C"] = trained.in_fit(dropout=False)
        found["P"] = trained.under_population(dropout=True)
        found["D"] = trained.under_population(dropout=False)
    else:  # nothing but dropout lies between B and E
        found |= {"C": last, "P": found["B"], "D": last}
    found["E"] = last
    if not facts.same_samples:
        found["F"] = _pair(evaluate)
    explanation = {
        "evaluations": found,
        "terms": {metric: terms({letter: found[letter][metric] for letter in found}) for metric in METRICS},
        "stages": stages(trained) if changes else {},
        "layers": layers(trained, facts) if changes else [],
    }
    penalty = trained.side.replay.penalty(trained.model)
    return explanation | ({"penalty": penalty} if penalty else {})


def terms(at: dict[str, float]) -> dict[str, dict[str, float]]:
    """Split F - A, or E - A where there is no F, into terms whose sum it is.

    Dropout and BN can be switched in either order: the mean of both is the term, their difference how uncertain
    it is.
    """
    dropout = (at["C"] - at["B"], at["D"] - at["P"])
    batch_noise = (at["D"] - at["C"], at["P"] - at["B"])
    found = {
        "weights-moved": _term(at["B"] - at["A"]),
        "dropout": _term(*dropout),
        "batch-noise": _term(*batch_noise),
        "moving-statistics": _term(at["E"] - at["D"]),
    }
    return found | ({"sample-mix": _term(at["F"] - at["E"])} if "F" in at else {})


def _term(*orders: float) -> dict[str, float]:
    return {"value": sum(orders) / len(orders), "uncertainty": abs(orders[0] - orders[-1])}


def _pair(figures: Figures) -> Figures:
    return {metric: float(figures[metric]) for metric in METRICS}


def stages(trained: Whole) -> dict[str, Figures]:
    """Measure what of the gap disappears when a stage alone gets the population statistics: E minus that."""
    groups: dict[str, Statistics] = {}
    for layer, pair in trained.population.items():
        groups.setdefault(stage(layer), {})[layer] = pair
    before = trained.under({})
    parts = {}
    for name, statistics in groups.items():
        after = trained.under(statistics)
        parts[name] = {metric: before[metric] - after[metric] for metric in METRICS}
    return parts


def stage(layer: str) -> str:
    """Name a layer's stage: ``stem``, ``conv2`` ... ``conv5`` in a ResNet50; elsewhere the layer itself."""
    block = re.match(r"(conv\d)_block\d", layer)
    return block[1] if block else {"conv1_bn": "stem"}.get(layer, layer)


def layers(trained: Whole, facts: Facts) -> list[dict]:
    """Summarise for each BN layer how far its moving statistics are from the population's.

    Variances are taken with the layer's epsilon added, as it normalises with them.
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
        row = {"layer": name, "stage": stage(name), "channels": len(mean)}
        row |= {"mean_drift": _summary(drift), "log_variance_ratio": _summary(np.abs(ratio))}
        rows.append(row | {"kl": _summary(kl)} | _steps(decay, facts))
    return rows


def _summary(channels: np.ndarray) -> dict[str, float]:
    median, p95 = np.percentile(channels, (50, 95))
    return {"median": float(median), "p95": float(p95), "max": float(channels.max())}


def _steps(decay: float, facts: Facts) -> dict:
    """How many updates there were, and how many it takes until less than `LAG` of what was before is left."""
    if not facts.updates:
        return {"decay": 1.0, "steps": 0, "steps_needed": None}
    return {"decay": decay, "steps": facts.steps, "steps_needed": ceil(log(LAG) / log(decay))}
