"""Whether a policy's fit and evaluate part, by the figures alone."""

from __future__ import annotations

from typing import Literal

from compare.spec import POLICIES, Policy
from compare.verdict.explained import Explained
from compare.verdict.figures import Figures, Group

Finding = Literal["gap", "hidden", "none"]
Kind = Literal["no BN", "same", "re-estimated", "lagging", "foreign"]

# Healthy training evaluates below fit, for dropout is off then: 0 would already be suspicious. 0.02 leaves room
# for chance: it is the standard error of a loss that scatters by 0.6 from sample to sample, over one epoch of the
# quick preset (some 900 samples), and the gap is taken on the same samples and averaged over epochs.
# For accuracy it is 2 points.
GAP = 0.02

# A gap can hide behind dropout's own effect. The terms show it. Without them evaluation is that much less below fit
# than under a policy that normalises alike in both: a difference of two trainings, less sure, hence wider.
HIDDEN = 0.05


def finding(policy: Policy, group: Group, framework: str) -> Finding:
    """Whether the gap of a policy in a framework, averaged over the epochs, is one."""
    figures = group.rows[policy.name][framework]
    if parts(figures.mean_gap("loss"), figures.mean_gap("accuracy")):
        return "gap"
    explained = figures.last_explained
    hidden = bn_part(explained) > GAP if explained else excess(policy, group, framework) > HIDDEN
    return "hidden" if hidden else "none"


def parts(loss: float, accuracy: float) -> bool:
    """Whether differences of evaluate and fit in loss and accuracy are a gap; one that isn't a number is, too."""
    return not (loss <= GAP and accuracy >= -GAP)


def bn_part(explained: Explained) -> float:
    """How much BN raises evaluate's loss over fit's, at least: what is uncertain of it taken off."""
    terms = ("batch-noise", "moving-statistics")
    return sum(explained.term(name) - explained.uncertainty(name) for name in terms)


def kind(policy: Policy, backbone: str) -> Kind:
    """Where a BN gap of this policy could come from, by what the policy does."""
    if backbone == "vgg16":
        return "no BN"
    if policy.fit_statistics == policy.evaluate_statistics:
        return "same"
    if policy.reestimate == "before-evaluate":
        return "re-estimated"
    return "lagging" if policy.updates else "foreign"


def excess(policy: Policy, group: Group, framework: str) -> float:
    """How much further up the gap is than the reference's; 0 where fit and evaluate normalise alike anyhow."""
    alike = reference(group, framework, policy)
    if alike is None or kind(policy, group.backbone) not in ("lagging", "foreign"):
        return 0.0
    return group.rows[policy.name][framework].mean_gap() - group.rows[alike][framework].mean_gap()


def reference(group: Group, framework: str, policy: Policy) -> str | None:
    """Name a policy that trains as much and normalises alike in fit and evaluate: what dropout does on its own."""
    for other in (POLICIES["frozen"], POLICIES["features"], POLICIES["fine-tune-bn-frozen"]):
        figures = group.rows.get(other.name, {}).get(framework, Figures())
        if figures.finished and (other.trains == "head") == (policy.trains == "head"):
            return other.name
    return None
