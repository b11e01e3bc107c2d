"""What the figures say, in plain sentences: what a policy does, put together with the gap that was measured."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Literal

from compare.report.summary import Figures, Group
from compare.spec import POLICIES, Policy

Finding = Literal["gap", "hidden", "none"]

# Healthy training evaluates below fit, for dropout is off then: 0 would already be suspicious. 0.02 leaves room
# for chance: it is the standard error of a loss that scatters by 0.6 from sample to sample, over one epoch of the
# quick preset (some 900 samples), and the gap is taken on the same samples and averaged over epochs.
# For accuracy it is 2 points.
GAP = 0.02

# A gap can hide behind dropout's own effect: evaluation is that much less below fit than under a policy that
# normalises alike in both. A difference of two trainings is less sure than one on the same samples: hence wider.
HIDDEN = 0.05

NAMES = {"keras": "Keras", "torch": "PyTorch", "resnet50": "ResNet50", "vgg16": "VGG16"}
DECAY = {"native": {"keras": 0.99, "torch": 0.9}, "matched": {"keras": 0.99, "torch": 0.99}}

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


def sentence(policy: Policy, group: Group) -> str:
    """Say for one row of a table whether there is a gap, and from what; frameworks apart where they differ."""
    row = group.rows[policy.name]
    source = kind(policy, group.backbone)
    clauses: dict[str, list[str]] = {}
    for framework in group.frameworks:
        if framework in row and row[framework].finished:
            template = CLAUSES[source, finding(policy, group, framework)]
            clauses.setdefault(template, []).append(framework)
    failed = [name for name in group.frameworks if name in row and not row[name].finished]
    if failed:
        clauses["failed{where}"] = failed
    # a clause names its frameworks only where not all of them share it
    where = {
        template: "" if set(own) == set(row) else f" in {_names(own)}" for template, own in clauses.items()
    }
    return "; ".join(_fill(text, policy, group, own, where[text]) for text, own in clauses.items())


def finding(policy: Policy, group: Group, framework: str) -> Finding:
    """Whether the gap of a policy in a framework, averaged over the epochs, is one."""
    figures = group.rows[policy.name][framework]
    # written so that a loss that isn't a number is a gap too
    if not (figures.mean_gap("loss") <= GAP and figures.mean_gap("accuracy") >= -GAP):
        return "gap"
    return "hidden" if _excess(policy, group, framework) > HIDDEN else "none"


def does(policy: Policy, backbone: str) -> str:
    """Say in one line what a policy trains and normalises with."""
    trains = {
        "head": "the head",
        "bn": "head, gamma, beta",
        "all": "everything",
        "all-but-bn": "all but gamma, beta",
    }
    if backbone == "vgg16":
        return f"trains {trains[policy.trains]}; no BN"
    moving = "updated" if policy.updates else "kept"
    again = f", moving ones re-estimated {policy.reestimate.replace('-', ' ')}" if policy.reestimate else ""
    used = f"fit on {policy.fit_statistics} statistics (moving: {moving}), evaluate on {policy.evaluate_statistics}"
    return f"trains {trains[policy.trains]}; {used}{again}"


def points(share: float) -> float:
    """A difference of accuracies in percentage points."""
    return 100 * share


def signed(value: float, digits: int = 2) -> str:
    """Write a difference with its sign; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def kind(policy: Policy, backbone: str) -> str:
    """Where a BN gap of this policy could come from, by what the policy does."""
    if backbone == "vgg16":
        return "no BN"
    if policy.fit_statistics == policy.evaluate_statistics:
        return "same"
    if policy.reestimate == "before-evaluate":
        return "re-estimated"
    return "lagging" if policy.updates else "foreign"


def _fill(template: str, policy: Policy, group: Group, own: list[str], where: str) -> str:
    """Put the figures of the frameworks that a clause speaks of into it."""
    if template == "failed{where}":
        return template.format(where=where)
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
        source="ImageNet's" if "imagenet" in group.weights.lower() else "the pretrained data's",
    )


def _level(policy, group, own):
    below = fmean(group.rows[policy.name][name].mean_gap() for name in own) < -GAP
    return (
        "evaluate's loss is below fit's (no dropout in it)"
        if below
        else "evaluate's loss is level with fit's"
    )


def _less(policy, group, own):
    excess = max(_excess(policy, group, name) for name in own)
    return f"evaluate gains {excess:.2f} less on fit than under a frozen BN"


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


def _reference(group: Group, framework: str, policy: Policy) -> Figures | None:
    """Find a policy that trains as much and normalises alike in fit and evaluate: what dropout does on its own."""
    for other in (POLICIES["frozen"], POLICIES["features"], POLICIES["fine-tune-bn-frozen"]):
        figures = group.rows.get(other.name, {}).get(framework, Figures())
        if figures.finished and (other.trains == "head") == (policy.trains == "head"):
            return figures
    return None


def _excess(policy: Policy, group: Group, framework: str) -> float:
    """How much further up the gap is than the reference's; 0 where fit and evaluate normalise alike anyhow."""
    reference = _reference(group, framework, policy)
    if reference is None or kind(policy, group.backbone) not in ("lagging", "foreign"):
        return 0.0
    return group.rows[policy.name][framework].mean_gap() - reference.mean_gap()


def _names(own: Iterable[str]) -> str:
    return " and ".join(NAMES[name] for name in own)
