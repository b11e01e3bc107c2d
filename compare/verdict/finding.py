"""Whether fit and evaluate part, by the figures alone, and where a BN gap could come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from compare.gap.records import METRICS, Metric
from compare.spec import Behaviour
from compare.verdict.explained import Explained
from compare.verdict.figures import Beside, Figures
from compare.words import Tone

Finding = Literal["gap", "hidden", "none"]
Source = Literal["no BN", "same", "re-estimated", "lagging", "foreign"]

# Healthy training evaluates below fit, for dropout is off then: 0 would already be suspicious. What is left to
# chance is one standard error: a loss scatters by about 0.6 from sample to sample, and so does an answer where one
# in three is another. Over one epoch of some 900 samples that is 0.02, in nats and, as 2 points, in accuracy; less
# than that is never called a gap. Over 40 samples it is 0.09, or between three and four of them.
GAP = 0.02
SCATTER = 0.6

# A gap can hide behind dropout's own effect. The terms show it. Without them evaluation is that much less below fit
# than where a model normalises alike in both: a difference of two trainings, less sure, hence wider.
HIDDEN = 0.05


def least(samples: int | None) -> float:
    """The least difference that isn't put down to chance, of loss or of accuracy; by the samples that it is of."""
    return max(GAP, SCATTER / math.sqrt(samples)) if samples else GAP


def worse(difference: float, metric: Metric) -> float:
    """By how much evaluate is worse than fit."""
    return difference if metric == "loss" else -difference


def tone(difference: float, metric: Metric, bar: float) -> Tone:
    """Whether a difference is worse or better than chance makes it; one that isn't a number is worse."""
    by = worse(difference, metric)
    return "worse" if not by <= bar else "well" if by < -bar else ""


def parting(differences: Mapping[Metric, float], bar: float) -> list[Metric]:
    """The metrics in which evaluate is worse than chance makes it, the loss first."""
    return [m for m in METRICS if m in differences and tone(differences[m], m, bar) == "worse"]


def source_of(behaviour: Behaviour | None) -> Source:
    """Where a BN gap could come from, by what the BN layers do; None is a model without them."""
    if behaviour is None:
        return "no BN"
    if behaviour.fit_statistics == behaviour.evaluate_statistics:
        return "same"
    if behaviour.reestimated:
        return "re-estimated"
    return "lagging" if behaviour.updates else "foreign"


def finding(
    source: Source, figures: Figures, explained: Explained, beside: Beside | None
) -> tuple[Finding, Metric]:
    """Whether there is a gap, averaged over the epochs, and in which metric.

    One that BN makes and something else hides is ``hidden``; one that shows by the last epoch is a ``gap``.
    """
    bar = least(figures.judged_on)
    found = parting({metric: figures.mean_gap(metric) for metric in figures.metrics}, bar)
    if found:
        return "gap", found[0]
    if not explained:
        apart = excess(source, figures, beside) > max(HIDDEN, bar)
        return ("hidden" if apart else "none"), "loss"
    if not bn_part(explained) > bar:
        return "none", "loss"
    now = parting({metric: explained.gap(metric) for metric in METRICS}, bar)
    return ("gap", now[0]) if now else ("hidden", "loss")


def bn_part(explained: Explained) -> float:
    """How much BN raises evaluate's loss over fit's, at least: what is uncertain of it taken off."""
    terms = ("batch-noise", "moving-statistics")
    return sum(explained.term(name) - explained.uncertainty(name) for name in terms)


def excess(source: Source, figures: Figures, beside: Beside | None) -> float:
    """How much further up the loss's gap is than beside; 0 where fit and evaluate normalise alike anyhow."""
    if beside is None or source not in ("lagging", "foreign"):
        return 0.0
    return figures.mean_gap() - beside.figures.mean_gap()
