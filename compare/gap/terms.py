"""The gap in terms that add up: what lies between `fit`'s figures of an epoch and `evaluate`'s, at its end."""

from __future__ import annotations

import re
from math import ceil, log
from typing import Any

import numpy as np

from compare.gap.evaluations import Moments, Whole
from compare.gap.records import METRICS, Evaluations, Explanation, Figures, LayerDrift, Metric, Spread, Term
from compare.spec import Behaviour

# Share of old moving statistics that may be left once they no longer count.
LAG = 0.05


def explain(
    trained: Whole,
    fit: Figures,
    evaluate: Figures,
    behaviour: Behaviour,
    *,
    epoch: int,
    steps: int,
    same_samples: bool = True,
) -> Explanation:
    """Split the gap of an epoch into terms.

    Args:
        trained: the model at the end of the epoch, and the epoch's samples.
        fit, evaluate: what the framework reported: ``loss`` and ``accuracy``.
        behaviour: of the BN layers in that training.
        epoch: its number, from 1.
        steps: training steps up to its end.
        same_samples: whether `evaluate` had the samples of `fit`, with the same weights.
    """
    changes = (behaviour.fit_statistics, behaviour.evaluate_statistics) == ("batch", "moving")
    changes = changes and bool(trained.side.statistics.batch_norms(trained.model))
    found = evaluations(trained, fit, evaluate, changes, same_samples)
    return Explanation(
        epoch,
        "asked",
        found,
        {metric: terms(found, metric) for metric in METRICS},
        stages(trained) if changes else {},
        tuple(layers(trained, steps if behaviour.updates else None)) if changes else (),
        float(trained.side.optimizers.penalty(trained.model)),
    )


def evaluations(
    trained: Whole, fit: Figures, evaluate: Figures, changes: bool, same_samples: bool
) -> Evaluations:
    """Measure the passes between `fit` and `evaluate`.

    Args:
        changes: whether BN normalises otherwise in `evaluate` than in `fit`. Else nothing but dropout lies between
            the epoch's end and `evaluate`.
    """
    end_of_epoch = _pair(trained.in_fit(dropout=True))
    last = _pair(evaluate if same_samples else trained.in_evaluate())
    return Evaluations(
        fit=_pair(fit),
        end_of_epoch=end_of_epoch,
        without_dropout=_pair(trained.in_fit(dropout=False)) if changes else last,
        population_with_dropout=_pair(trained.under_population(dropout=True)) if changes else end_of_epoch,
        population=_pair(trained.under_population(dropout=False)) if changes else last,
        evaluate=last,
        evaluate_reported=None if same_samples else _pair(evaluate),
    )


def terms(found: Evaluations, metric: Metric) -> dict[str, Term]:
    """Split what `evaluate` reported minus what `fit` did into terms whose sum it is.

    Dropout and BN can be switched in either order: the mean of both is the term, their difference how uncertain
    it is.
    """
    at = {name: figures[metric] for name, figures in vars(found).items() if figures is not None}
    dropout = (
        at["without_dropout"] - at["end_of_epoch"],
        at["population"] - at["population_with_dropout"],
    )
    batch_noise = (
        at["population"] - at["without_dropout"],
        at["population_with_dropout"] - at["end_of_epoch"],
    )
    split = {
        "weights-moved": _term(at["end_of_epoch"] - at["fit"]),
        "dropout": _term(*dropout),
        "batch-noise": _term(*batch_noise),
        "moving-statistics": _term(at["evaluate"] - at["population"]),
    }
    if found.evaluate_reported is not None:
        split["sample-mix"] = _term(at["evaluate_reported"] - at["evaluate"])
    return split


def _term(*orders: float) -> Term:
    return Term(sum(orders) / len(orders), abs(orders[0] - orders[-1]))


def _pair(figures: Figures) -> Figures:
    return {metric: float(figures[metric]) for metric in METRICS}


def stages(trained: Whole) -> dict[str, Figures]:
    """Measure what of the gap disappears when a stage alone gets the population statistics: E minus that."""
    groups: dict[str, Moments] = {}
    for layer, pair in trained.population.items():
        groups.setdefault(stage(layer), {})[layer] = pair
    before = trained.under({})
    parts: dict[str, Figures] = {}
    for name, statistics in groups.items():
        after = trained.under(statistics)
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
