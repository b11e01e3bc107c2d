"""Add a finding to a case, with the cure in its framework's own code."""

from __future__ import annotations

from compare.diagnosis.case import Case
from compare.diagnosis.cures import cure
from compare.diagnosis.records import Finding


def find(
    case: Case,
    cause: str,
    harmful: bool,
    value: float,
    layers: tuple[str, ...],
    evidence: str,
    detail: str = "",
    change: str = "",
) -> None:
    """Add a finding; one of the same cause takes in its layers and evidence.

    Args:
        case: gets the finding.
        cause: one of `records.CAUSES`.
        harmful: whether figures or predictions are wrong because of it.
        value: its part of the gap.
        layers: that it is about.
        evidence: sentences.
        detail, change: of the cure, see `cures.cure`.
    """
    detail = detail or ("by-step" if case.stepped else "own-step" if case.measured.facts.by_hand else "")
    known = next((f for f in case.findings if f.cause == cause), None)
    if known is not None:
        case.findings.remove(known)
        layers = tuple(dict.fromkeys((*known.layers, *layers)))
        harmful, value = harmful or known.harmful, known.value + value
        evidence = f"{known.evidence} {evidence}"
    made = cure(case.framework, cause, layers, detail, change, case.calling)
    case.findings.append(Finding(cause, harmful, value, layers, evidence, made))
