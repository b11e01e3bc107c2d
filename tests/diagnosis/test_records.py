"""A diagnosis as JSON, and as something that can stop a script."""

import json

import pytest

from compare.diagnosis.records import (
    Audit,
    AuditRow,
    Cure,
    Diagnosis,
    Finding,
    HarmfulFindingError,
    Probes,
    Term,
)

ROW = AuditRow("bn", "BatchNorm1d", True, "batch", "moving", True, False, 1, 0.9, 1e-5)
FINDING = Finding("stale-statistics", True, 1.43, ("bn",), "It lags.", Cure("Wait.", "wait()"))
DIAGNOSIS = Diagnosis(
    "torch", "Net", 512, {"loss": 0.2}, {"fit_loss": 0.2, "evaluate_loss": 1.7}, 1.5, (Term("stale-statistics", 1.5),),
    (FINDING,), Audit("torch", "Net", (ROW,)), Probes(restored="same"),
)  # fmt: skip


def test_json_has_the_fields_that_are_agreed():
    said = json.loads(json.dumps(DIAGNOSIS.to_json()))
    assert {
        "framework",
        "model",
        "samples",
        "reported",
        "measured",
        "gap",
        "terms",
        "findings",
        "audit",
        "probes",
    } <= set(said)
    assert said["terms"] == [{"term": "stale-statistics", "value": 1.5, "uncertainty": 0.0}]
    assert said["findings"][0]["cure"] == {"text": "Wait.", "code": "wait()"}
    assert said["findings"][0]["layers"] == ["bn"]
    assert said["probes"]["restored"] == "same"
    assert said["audit"][0]["decay"] == 0.9


def test_a_harmful_finding_can_stop_a_script():
    with pytest.raises(HarmfulFindingError, match="stale-statistics: It lags"):
        DIAGNOSIS.raise_if("harmful")
    with pytest.raises(HarmfulFindingError):
        DIAGNOSIS.raise_if("stale-statistics")
    assert DIAGNOSIS.raise_if("dropout") is None


def test_raise_if_takes_causes_only():
    with pytest.raises(ValueError, match="not 'harm'"):
        DIAGNOSIS.raise_if("harm")
