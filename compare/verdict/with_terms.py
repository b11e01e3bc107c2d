"""What the terms say of a policy, in plain sentences: whether there is a gap, its cause, and what mends it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from compare.spec import POLICIES, Policy
from compare.verdict import without_terms as guess
from compare.verdict.cures import REESTIMATE, Cure, cures
from compare.verdict.explained import Explained, Metric, label
from compare.verdict.figures import Figures, Group
from compare.verdict.finding import GAP, Finding, finding, kind, parts, reference
from compare.verdict.seeds import estimate
from compare.verdict.words import names, points, signed

# What the largest term means, by where the policy's BN gap could come from.
CAUSES = {
    ("lagging", "moving-statistics"): "moving statistics that lag behind{lag}",
    ("foreign", "moving-statistics"): "{source} moving statistics",
    ("re-estimated", "moving-statistics"): "moving statistics, though re-estimated: on too few of the images",
    ("any", "batch-noise"): "batch noise: a batch's own statistics aren't the population's",
    ("any", "dropout"): "dropout, which is harmless",
    ("any", "weights-moved"): "weights that moved within the epoch, which is harmless",
}
# What there is to say where nothing parts.
CALM = {
    "no BN": "no BN, no BN gap",
    "same": "no gap: fit and evaluate normalise alike",
    "re-estimated": "no gap: the statistics are re-estimated before evaluate",
    "lagging": "no gap: moving statistics count for {moving}",
    "foreign": "no gap measured: {source} moving statistics count for {moving}",
}

PART = 0.2  # of the term: a stage that makes less isn't worth a sentence


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one policy in one framework.

    Attributes:
        finding: whether there is a gap.
        cause: the term that it comes from; empty where there is none.
        sentence: both, with the figures.
        more: further sentences: the worst layer, what the cure was measured to bring, what it costs.
        cures: what to do, the first first; empty where nothing is wrong or nothing helps.
    """

    finding: Finding
    cause: str
    sentence: str
    more: tuple[str, ...] = ()
    cures: tuple[Cure, ...] = ()


def verdict(policy: Policy, group: Group, framework: str) -> Verdict | None:
    """Judge a policy in a framework by its explanations; None where there aren't any."""
    figures = group.rows[policy.name].get(framework, Figures())
    explained = figures.last_explained
    if not explained:
        return None
    found = finding(policy, group, framework)
    if found == "none":
        return Verdict(found, "", _calm(policy, group, explained))
    closed = ""
    if found == "gap" and not _parts(explained):
        closed = f"; closed by the last epoch ({signed(explained.gap())})"
        explained = figures.best_explained
        if not _parts(explained):
            return Verdict(found, "", f"gap {signed(figures.mean_gap())} over the epochs{closed}")
    metric: Metric = "accuracy" if found == "gap" and explained.gap() <= GAP else "loss"
    cause = _cause(explained, found, metric)
    remedies = cures(policy, cause, explained)
    text = _told(policy, group, explained, found, cause, metric) + closed
    return Verdict(found, cause, text, _more(policy, group, framework, explained, cause, remedies), remedies)


def sentences(policy: Policy, group: Group) -> list[str]:
    """Say for one row of a table whether there is a gap, and from what; frameworks apart where they differ."""
    row = group.rows[policy.name]
    finished = [name for name in group.frameworks if name in row and row[name].finished]
    clauses: dict[str, list[str]] = {}
    for name in finished:
        if found := verdict(policy, group, name):
            clauses.setdefault(found.sentence, []).append(name)
    if failed := [name for name in group.frameworks if name in row and name not in finished]:
        clauses["failed"] = failed
    lines = [text if set(own) == set(row) else f"{names(own)}: {text}" for text, own in clauses.items()]
    if unexplained := [name for name in finished if not row[name].last_explained]:
        lines.insert(0, guess.sentence(policy, group, unexplained))
    return lines


def remedies(group: Group) -> list[tuple[Cure, dict[str, list[str]]]]:
    """What to do: each cure, and the policies whose figures support it -> in which frameworks."""
    found: dict[str, tuple[Cure, dict[str, list[str]]]] = {}
    for policy in group.rows:
        for framework in group.frameworks:
            judged = verdict(POLICIES[policy], group, framework)
            for cure in judged.cures if judged else ():
                found.setdefault(cure.what, (cure, {}))[1].setdefault(policy, []).append(framework)
    return list(found.values())


def _parts(explained: Explained) -> bool:
    return bool(explained) and parts(explained.gap(), explained.gap("accuracy"))


def _cause(explained: Explained, found: Finding, metric: Metric) -> str:
    """The term that makes evaluate worse by most; of a hidden gap, BN's."""
    names = ["batch-noise", "moving-statistics"] if found == "hidden" else explained.terms
    return max(names, key=lambda name: _worse(explained.term(name, metric), metric))


def _worse(difference: float, metric: Metric) -> float:
    return difference if metric == "loss" else -difference


def _told(policy, group, explained, found, cause, metric) -> str:
    meaning = CAUSES.get((kind(policy, group.backbone), cause)) or CAUSES.get(("any", cause), label(cause))
    meaning = meaning.format(lag=_lag(explained), source=group.source)
    value, total = explained.term(cause, metric), explained.gap(metric)
    if found == "hidden":
        cover = min(explained.terms, key=explained.term)
        return f"hidden gap {signed(value)}: {meaning}; hidden by {label(cover)} ({signed(explained.term(cover))})"
    share = f"{100 * value / total:.0f} % of it"
    if abs(value) > abs(total):  # other terms take something off
        share = f"more than all of it ({_figure(value, metric)})"
    spread = estimate(list(explained.gaps(metric).values())).half
    interval = f" ± {_figure(spread, metric).lstrip('+')}" if spread is not None else ""
    if spread is not None and spread >= abs(total):
        interval += " (it may be chance)"
    return f"gap {_figure(total, metric)}{interval}, {share} {meaning}{_points_lost(explained, metric)}"


def _figure(value: float, metric: Metric) -> str:
    return signed(value) if metric == "loss" else f"{signed(points(value), 0)} points of accuracy"


def _points_lost(explained: Explained, metric: Metric) -> str:
    lost = points(-explained.gap("accuracy"))
    return f"; accuracy {lost:.0f} points lower" if metric == "loss" and lost > points(GAP) else ""


def _calm(policy: Policy, group: Group, explained: Explained) -> str:
    text = CALM[kind(policy, group.backbone)]
    return text.format(moving=signed(explained.term("moving-statistics")), source=group.source)


def _lag(explained: Explained) -> str:
    if late := explained.late:
        return " ({steps} steps at decay {decay:g}, {steps_needed} needed)".format(**late)
    worst = explained.worst
    return f" (decay {worst['decay']:g})" if worst and worst["decay"] is not None else ""


def _more(policy, group, framework, explained, cause, remedies) -> tuple[str, ...]:
    lines = _whereabouts(explained) if cause == "moving-statistics" else []
    if REESTIMATE in remedies:
        after, before = explained.evaluation("D"), explained.evaluation("E")
        lines.append(
            f"With statistics re-estimated on these samples, evaluate's loss is {after:.2f} instead of {before:.2f}."
        )
    if explained.penalty:
        lines.append(
            f"{explained.penalty:.2g} of both losses is a penalty on the weights, no part of the gap."
        )
    alike = reference(group, framework, policy)
    if remedies and alike and alike != policy.name:
        row = group.rows
        here, there = (points(row[name][framework].last("val", "accuracy")) for name in (policy.name, alike))
        lines.append(
            f"As {alike}, which normalises alike in fit and evaluate,"
            f" it validates at {there:.1f} % (here {here:.1f} %)."
        )
    return tuple(lines)


def _whereabouts(explained: Explained) -> list[str]:
    """Name the layer that is furthest off, and the stage that makes most of the term."""
    lines = []
    if worst := explained.worst:
        drift, factor = worst["mean_drift"], math.exp(min(worst["log_variance_ratio"], 99))
        lines.append(
            f"The worst layer is {worst['layer']}: half of its channels have a moving mean more than {drift:.2g}"
            f" standard deviations off, and a moving variance off by a factor of more than {factor:.2g}."
        )
    stages, term = explained.stages(), explained.term("moving-statistics")
    name = max(stages, key=lambda name: stages[name], default="")
    if name and stages[name] > PART * term > 0:
        lines.append(
            f"Of the stages {name} matters most: population statistics there alone take away {stages[name]:.2f}."
        )
    return lines
