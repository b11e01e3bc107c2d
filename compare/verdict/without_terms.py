"""What the figures say of a policy where a run has no explanations: the gap, put together with what the policy does."""

from __future__ import annotations

from statistics import fmean

from compare.spec import DECAY, NAMES, Policy
from compare.verdict.figures import Group
from compare.verdict.finding import GAP, Finding, excess, finding, kind
from compare.verdict.words import names, points

FOREIGN = "evaluates with {source} statistics what it trained with the batch's"
CLAUSES: dict[tuple[str, Finding], str] = {
    ("no BN", "gap"): "gap{where}, but not BN's: VGG16 has none{cost}",
    ("no BN", "none"): "no BN, no BN gap{where}: {level}",
    ("same", "gap"): "gap{where}, but not BN's: fit and evaluate both use the {statistics} statistics{cost}",
    ("same", "none"): "no gap{where}: {level}",
    ("re-estimated", "gap"): "gap{where}, though the statistics are re-estimated before evaluate{cost}",
    ("re-estimated", "none"): "no gap{where}: the statistics are re-estimated before evaluate",
    ("lagging", "gap"): "gap{where}: the moving statistics lag behind ({decay}){cost}{closed}",
    ("lagging", "hidden"): "hidden gap{where}: {less}; the moving statistics lag behind ({decay})",
    ("lagging", "none"): "no gap{where}: the moving statistics keep up ({decay})",
    ("foreign", "gap"): f"gap{{where}}: {FOREIGN}{{cost}}",
    ("foreign", "hidden"): f"hidden gap{{where}}: {{less}}; it {FOREIGN}",
    ("foreign", "none"): f"no gap measured{{where}}, though it {FOREIGN}",
}


def sentence(policy: Policy, group: Group, frameworks: list[str]) -> str:
    """Say whether there is a gap, and from what it could come; frameworks apart where they differ."""
    source = kind(policy, group.backbone)
    clauses: dict[str, list[str]] = {}
    for framework in frameworks:
        clauses.setdefault(CLAUSES[source, finding(policy, group, framework)], []).append(framework)
    # a clause names its frameworks only where not all of them share it
    row = group.rows[policy.name].keys()
    where = {text: "" if set(own) == set(row) else f" in {names(own)}" for text, own in clauses.items()}
    return "; ".join(_fill(text, policy, group, own, where[text]) for text, own in clauses.items())


def _fill(template: str, policy: Policy, group: Group, own: list[str], where: str) -> str:
    """Put the figures of the frameworks that a clause speaks of into it."""
    cost = _cost(policy, group, own)
    closed = not cost and all(group.rows[policy.name][name].gap() <= GAP for name in own)
    return template.format(
        where=where,
        cost=cost,
        closed="; closed by the last epoch" if closed else "",
        level=_level(policy, group, own),
        less=_less(policy, group, own) if "{less}" in template else "",
        decay=_decay(group, own),
        statistics=policy.fit_statistics,
        source=group.source,
    )


def _level(policy, group, own):
    below = fmean(group.rows[policy.name][name].mean_gap() for name in own) < -GAP
    return (
        "evaluate's loss is below fit's (no dropout in it)"
        if below
        else "evaluate's loss is level with fit's"
    )


def _less(policy, group, own):
    most = max(excess(policy, group, name) for name in own)
    return f"evaluate gains {most:.2f} less on fit than under a frozen BN"


def _cost(policy, group, own):
    """Say what the gap costs in accuracy, where it does."""
    lost = sorted(points(-group.rows[policy.name][name].mean_gap("accuracy")) for name in own)
    if lost[0] < points(GAP):
        return ""
    low, high = f"{lost[0]:.0f}", f"{lost[-1]:.0f}"
    return f", accuracy {low if low == high else f'{low} to {high}'} points lower"


def _decay(group: Group, own: list[str]) -> str:
    decays = {DECAY[group.numerics][name]: NAMES[name] for name in own}
    if len(decays) == 1:
        return f"decay {next(iter(decays)):g}"
    return "decay " + ", ".join(f"{decay:g} in {name}" for decay, name in decays.items())
