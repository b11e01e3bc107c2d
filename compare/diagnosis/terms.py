"""The gap as a sum: a term a switch, the four positions of normalisation, and what lies before and behind them."""

from __future__ import annotations

from itertools import permutations
from math import nan

import numpy as np

from compare.diagnosis.measured import Measured
from compare.diagnosis.mixing import unmixed
from compare.diagnosis.records import Term

# the last step of normalisation, before its cause is known
LAST_STEP = "stored-statistics"
# the switches that one term stands for each, in the order in which they are told; normalisation has several
ORDER = ("dropout", "augmentation", "other", "objective")
# switch -> its term, where that isn't called the same
NAMES = {"other": "other-layers"}


def shapley(losses: dict[frozenset[str], float]) -> dict[str, tuple[float, float]]:
    """Split a fall from all switches on to none by the mean over all orders of throwing them.

    Args:
        losses: set of switches as in training -> loss; every set of them.

    Returns:
        switch -> (its share of off minus on, half the spread over the orders).
    """
    players = max(losses, key=len)
    steps: dict[str, list[float]] = {player: [] for player in sorted(players)}
    for order in permutations(sorted(players)):
        on = players
        for player in order:
            steps[player].append(losses[on - {player}] - losses[on])
            on -= {player}
    return {player: (float(np.mean(s)), (max(s) - min(s)) / 2) for player, s in steps.items()}


def of_switches(measured: Measured, metric: str = "loss") -> list[Term]:
    """The terms from a pass as in training to an evaluation of the same samples; they add up to the difference."""
    losses = {on: one.figures[metric] for on, one in measured.standing.items()}
    evaluated = measured.uncompiled or measured.evaluate
    end = evaluated.figures[metric]
    if measured.dropped and metric == "loss":
        steps = [step for step in evaluated.steps if step.size > 1]
        end = sum(step.loss * step.weight for step in steps) / sum(step.weight for step in steps)
    if not measured.switches:
        return []
    shares = shapley(losses)
    terms = [Term(NAMES.get(player, player), *shares[player]) for player in ORDER if player in shares]
    if "normalisation" in shares:
        terms += _normalisation(measured, *shares["normalisation"], losses[frozenset()], end, metric)
    elif terms:
        # what the passes of the terms and the framework's own evaluation part by, rounding in nearly all cases
        terms = _closed(terms, end - losses[frozenset()])
    return terms


def _normalisation(
    measured: Measured, share: float, spread: float, pooled: float, end: float, metric: str
) -> list[Term]:
    """batch -> population -> mean of the batches' statistics -> stored."""
    if measured.population is None or measured.under_averages is None:
        # normalisation that can't be given other statistics: two positions
        return [Term(LAST_STEP, share + end - pooled, spread)]
    averaged = measured.under_averages.figures[metric]
    by_call = averaged if measured.by_call is None else measured.by_call.figures[metric]
    apart = unmixed(measured)
    arrived = by_call if measured.unshifted is None else measured.unshifted.figures[metric]
    between = arrived - pooled
    noise = share
    terms = []
    if apart:
        mixed = measured.mixed if metric == "loss" else None
        dealt = share if mixed is None else mixed[1] - mixed[0]
        # a network that was trained with unmixed batches alone may do better in mixed ones, or worse than by all
        # samples' statistics: that says nothing of the noise that batches of this size have
        noise = share - dealt if 0 <= dealt <= share else 0.0
        terms.append(Term("unmixed-batches", share - noise + between, spread))
    terms.append(Term("batch-noise", noise + (0.0 if apart else between), spread))
    if measured.unshifted is not None:
        terms.append(Term("variance-shift", by_call - arrived))
    if measured.by_call is not None:
        terms.append(Term("shared-layer", averaged - by_call))
    terms.append(Term(LAST_STEP, end - averaged))
    return terms


def _closed(terms: list[Term], rest: float) -> list[Term]:
    """Put a rest into the largest term."""
    at = max(range(len(terms)), key=lambda i: abs(terms[i].value))
    term = terms[at]
    value = term.value + rest if np.isfinite(rest) else nan
    return [*terms[:at], Term(term.term, value, term.uncertainty), *terms[at + 1 :]]
