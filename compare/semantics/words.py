"""What a layer does in words, the gap that it leads to, and the policy of this project that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compare.gap.observed import Rule
from compare.semantics.record import Record
from compare.semantics.row import Measured, Row
from compare.spec import POLICIES, Policy
from compare.words import join

USES = {
    "batch": "the batch's own mean and variance",
    "moving": "the moving statistics",
    "neither": "neither the batch's statistics nor the moving ones",
    "raises": "nothing: it raises an error",
}
VARIANCES = {
    "biased": "the biased batch variance (divided by n)",
    "unbiased": "the unbiased batch variance (divided by n - 1)",
    "doubly corrected": "the batch variance corrected twice (times n/(n-1), squared)",
    "of deviations": "the standard deviation, squared again afterwards",
    None: "a variance that fits no known rule",
}
# what a setting may be lost by
MISHAPS = {
    "train()": "model.train()",
    "compile": "compile",
    "fit": "fit",
    "save_load": "saving and loading the model",
}


def sentences(does: Measured) -> list[str]:
    """Say in sentences what a layer does."""
    said = [f"Training normalises with {USES[does.fit]}."]
    if does.fit != "raises":
        said += [_update(does), _affine(does)]
    said.append(f"Evaluation normalises with {USES[does.evaluate]}.")
    if does.evaluate_updates:
        said.append("Evaluation moves the moving statistics, too.")
    return said + _survival(does.survives)


def _update(does: Measured) -> str:
    rule = does.rule
    if not does.updates:
        return "The moving statistics stay as they are."
    if rule is None:
        return "It moves the moving statistics, by no known rule."
    share = "as many parts as there were steps" if rule.decay == "cumulative" else f"{rule.decay}"
    text = f"It moves the moving statistics: a step keeps {share} of the old value and takes in the batch's mean "
    text += f"and {VARIANCES[rule.variance]}."
    if rule.zero_debiased:
        text += " The average is zero-debiased: the first step throws the loaded statistics away."
    return text


def _affine(does: Measured) -> str:
    if does.gamma_beta_change:
        return "Gamma and beta train."
    return f"Gamma and beta stay; they get {'a' if does.gamma_beta_gradient else 'no'} gradient."


def _survival(survives: Mapping[str, bool | None]) -> list[str]:
    kept = [MISHAPS[name] for name, value in survives.items() if value is True]
    lost = [MISHAPS[name] for name, value in survives.items() if value is False]
    said = [f"It survives {join(kept)}."] if kept else []
    return said + ([f"It doesn't survive {join(lost, 'or')}."] if lost else [])


def gap(does: Measured) -> str:
    """Say which gap between fit and evaluate this leads to."""
    fit, evaluate, rule = does.fit, does.evaluate, does.rule
    if fit == "raises":
        return "None: there is no training."
    if (fit, evaluate) == ("batch", "batch"):
        return "None from BN, but what is predicted for a sample depends on the others in its batch."
    if (fit, evaluate) == ("moving", "moving"):
        return _moving_gap(does.updates, rule)
    if (fit, evaluate) == ("moving", "batch"):
        return "The inverse of the usual: fit uses the moving statistics, evaluate each batch's own."
    if fit == "neither" or evaluate == "neither":
        return "Not to be told from these figures."
    if not does.updates:
        return (
            "The large one, for good: fit sees each batch's own statistics, evaluate those that the layer came "
            "with, however long the training."
        )
    if rule and rule.zero_debiased:
        return "Small from the first steps on: the loaded statistics are thrown away at once, and evaluate lags little."
    if rule and rule.decay == "cumulative":
        return "Small from the first steps on, then growing: the mean over all steps forgets early weights slowly."
    return f"Until the moving statistics have caught up{_lag(rule)}; then batch noise alone."


def _moving_gap(updates: bool, rule: Rule | None) -> str:
    if not updates:
        return "None from BN: fit and evaluate use the same statistics, even if they are foreign to the data."
    if rule and rule.zero_debiased:
        return "Little, but the first step throws the loaded statistics away."
    return "Little: both use the moving statistics, which move a little in every step."


def _lag(rule: Rule | None) -> str:
    if rule is None or not isinstance(rule.decay, float) or not rule.decay:
        return ""
    return f", about {round(3 / (1 - rule.decay))} steps at a decay of {rule.decay}"


def policy(does: Measured) -> tuple[list[Policy], str]:
    """Find the policies of this project that do this.

    Returns:
        The policies, and in words how they differ where none is the same.
    """
    same = [policy for policy in POLICIES.values() if policy.matches(does.behaviour)]
    if same:
        return same, ""
    plain = [policy for policy in POLICIES.values() if not (policy.reestimate or policy.features)]
    near = [policy for policy in plain if policy.normalises_as(does.behaviour)]
    trains = "train" if does.gamma_beta_change else "stay"
    return near, f"but here gamma and beta {trains}" if near else ""


def equivalents(does: Measured, others: Sequence[Record]) -> list[tuple[Record, Row]]:
    """Find the rows of the frameworks of today that do the same, those with the same rule first."""
    found = [
        (other.does.rule != does.rule, record, other)
        for record in others
        if record.framework in ("keras", "torch")
        for other in record.rows
        if other.does and other.does.behaviour == does.behaviour
    ]
    return [(record, row) for _, record, row in sorted(found, key=lambda same: same[0])]
