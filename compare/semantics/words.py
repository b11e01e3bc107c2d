"""A row's facts in words, the gap that they lead to, and the policy of this project that they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compare.semantics.record import Record, Row, core
from compare.spec import POLICIES, Policy

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
ORDEALS = {
    "train()": "model.train()",
    "compile": "compile",
    "fit": "fit",
    "save_load": "saving and loading the model",
}


def sentences(facts: dict[str, Any]) -> list[str]:
    """Say in sentences what a row's facts are."""
    said = [f"Training normalises with {USES[facts['fit']]}."]
    if facts["fit"] != "raises":
        said += [_update(facts), _affine(facts)]
    said.append(f"Evaluation normalises with {USES[facts['evaluate']]}.")
    if facts.get("evaluate_updates"):
        said.append("Evaluation moves the moving statistics, too.")
    return said + _survival(facts["survives"])


def _update(facts: dict[str, Any]) -> str:
    rule = facts["rule"]
    if facts["updates"] == "no":
        return "The moving statistics stay as they are."
    if rule is None:
        return "It moves the moving statistics, by no known rule."
    share = "as many parts as there were steps" if rule["decay"] == "cumulative" else f"{rule['decay']}"
    text = f"It moves the moving statistics: a step keeps {share} of the old value and takes in the batch's mean "
    text += f"and {VARIANCES[rule['variance']]}."
    if rule["zero_debiased"]:
        text += " The average is zero-debiased: the first step throws the loaded statistics away."
    return text


def _affine(facts: dict[str, Any]) -> str:
    if facts["gamma_beta_change"]:
        return "Gamma and beta train."
    return f"Gamma and beta stay; they get {'a' if facts['gamma_beta_gradient'] else 'no'} gradient."


def _survival(survives: dict[str, bool | None]) -> list[str]:
    said = []
    for verb, joint, kept in (("It survives", "and", True), ("It doesn't survive", "or", False)):
        names = [ORDEALS[name] for name, value in survives.items() if value is kept]
        if names:
            said.append(
                f"{verb} {f' {joint} '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}."
            )
    return said


def gap(facts: dict[str, Any]) -> str:
    """Say which gap between fit and evaluate the facts lead to."""
    rule = facts["rule"] or {}
    fit, evaluate = facts["fit"], facts["evaluate"]
    if fit == "raises":
        return "None: there is no training."
    if (fit, evaluate) == ("batch", "batch"):
        return "None from BN, but what is predicted for a sample depends on the others in its batch."
    if (fit, evaluate) == ("moving", "moving"):
        return _moving_gap(facts["updates"], rule)
    if (fit, evaluate) == ("moving", "batch"):
        return "The inverse of the usual: fit uses the moving statistics, evaluate each batch's own."
    if fit == "neither" or evaluate == "neither":
        return "Not to be told from these facts."
    if facts["updates"] == "no":
        return (
            "The large one, for good: fit sees each batch's own statistics, evaluate those that the layer came "
            "with, however long the training."
        )
    if rule.get("zero_debiased"):
        return "Small from the first steps on: the loaded statistics are thrown away at once, and evaluate lags little."
    if rule.get("decay") == "cumulative":
        return "Small from the first steps on, then growing: the mean over all steps forgets early weights slowly."
    return f"Until the moving statistics have caught up{_lag(rule.get('decay'))}; then batch noise alone."


def _moving_gap(updates: str, rule: dict[str, Any]) -> str:
    if updates == "no":
        return "None from BN: fit and evaluate use the same statistics, even if they are foreign to the data."
    if rule.get("zero_debiased"):
        return "Little, but the first step throws the loaded statistics away."
    return "Little: both use the moving statistics, which move a little in every step."


def _lag(decay: float | None) -> str:
    if not decay:
        return ""
    return f", about {round(3 / (1 - decay))} steps at a decay of {decay}"


def policy(facts: dict[str, Any]) -> tuple[list[Policy], str]:
    """Find the policies of this project with these facts.

    Returns:
        The policies, and in words how they differ where none is the same.
    """
    plain = [p for p in POLICIES.values() if p.reestimate is None and not p.features]

    def alike(policy: Policy) -> bool:
        updates = "yes" if policy.updates else "no"
        wanted = (policy.fit_statistics, updates, policy.evaluate_statistics)
        return wanted == (facts["fit"], facts["updates"], facts["evaluate"])

    near = [p for p in plain if alike(p)]
    same = [p for p in near if (p.trains in ("bn", "all")) == facts["gamma_beta_change"]]
    if same:
        return same, ""
    trains = "train" if facts["gamma_beta_change"] else "stay"
    return near, f"but here gamma and beta {trains}" if near else ""


def equivalents(row: Row, others: Sequence[Record]) -> list[tuple[Record, Row]]:
    """Find the rows of the frameworks of today that do the same, those with the same rule first."""
    rule = row["facts"]["rule"]
    found = [
        (record, other)
        for record in others
        if record.framework in ("keras", "torch")
        for other in record.rows
        if other["facts"] and core(other) == core(row)
    ]
    return sorted(found, key=lambda pair: pair[1]["facts"]["rule"] != rule)
