"""What several seeds say: a mean with its 95 % interval, and paired tests that count how many they are.

The same seed draws the same split, the same batches and the same new head whatever the framework and the policy,
so differences are taken seed by seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev

Gaps = Mapping[int, float]

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        half: half the width of the 95 % interval by Student's t; None where there's one seed.
    """

    mean: float
    half: float | None
    seeds: int


@dataclass(frozen=True)
class Difference:
    """Two trainings that share their seeds: the figure of ``a`` minus that of ``b``.

    Attributes:
        within: what both have in common.
        p: of the two-sided paired t-test, adjusted by Holm's method for the tests made beside it.
    """

    within: str
    a: str
    b: str
    gap: Estimate
    p: float


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval of one figure a seed."""
    mean, half = fmean(values), None
    if len(values) > 1 and math.isfinite(mean):
        from scipy.special import stdtrit  # takes a while to import, and runs of one seed don't need it

        half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, half, len(values))


def side_by_side(families: Mapping[str, Mapping[str, Gaps]]) -> list[Difference]:
    """Test each against each within a family, all of them as one block of tests.

    Args:
        families: what its members have in common -> a member -> its figure of each seed. Two that share fewer than
            two seeds aren't tested.
    """
    pairs = {
        (within, a, b): (own[a], own[b]) for within, own in families.items() for a, b in combinations(own, 2)
    }
    found = {names: result for names, both in pairs.items() if (result := paired(*both))}
    adjusted = holm([p for _, p in found.values()])
    return [Difference(*names, gap, p) for (names, (gap, _)), p in zip(found.items(), adjusted, strict=True)]


def paired(a: Gaps, b: Gaps) -> tuple[Estimate, float] | None:
    """The difference of two figures over the seeds that both have, and the p-value of its being none.

    Source: Student 1908, The probable error of a mean; https://www.jstor.org/stable/2331554
    """
    differences = [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]
    if len(differences) < 2 or not all(map(math.isfinite, differences)):
        return None
    from scipy.special import stdtr

    error = stdev(differences) / math.sqrt(len(differences))
    mean = fmean(differences)
    t = abs(mean) / error if error else math.inf if mean else 0.0
    return estimate(differences), 2 * float(stdtr(len(differences) - 1, -t))


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of tests made side by side.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure; https://www.jstor.org/stable/4615733
    """
    adjusted, least = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = least
    return adjusted
