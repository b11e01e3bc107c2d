"""Steps of normalisation of which none costs enough to be named, and which come to a gap together."""

from types import SimpleNamespace

import pytest

from compare.diagnosis import switching
from compare.diagnosis.records import Term

TERMS = [Term("dropout", -0.01, 0.0), Term("batch-noise", 0.10, 0.0), Term("shared-layer", 0.05, 0.0),
         Term("stale-statistics", 0.14, 0.0)]  # fmt: skip


def judged(monkeypatch, terms, worse=0.28, findings=()):
    """The causes that are found where 0.2 is the least that costs."""
    found = []
    monkeypatch.setattr(switching, "_normalised", lambda case, cause: (("bn",), "The loss is 0 and 0.1."))
    monkeypatch.setattr(switching, "find", lambda case, cause, *rest: found.append((cause, *rest)))
    case = SimpleNamespace(terms=terms, findings=list(findings), evaluated=worse, as_in_fit=0.0)
    case.costs = lambda value: value > 0.2
    switching.find_together(case)
    return found


def test_the_largest_that_is_the_batches_own_is_found_with_what_comes_together(monkeypatch):
    [(cause, harmful, value, layers, evidence)] = judged(monkeypatch, TERMS)
    assert (cause, harmful, value, layers) == ("batch-noise", True, 0.10, ("bn",))
    assert "stale statistics 0.14" in evidence


@pytest.mark.parametrize(
    "given",
    [
        {"terms": TERMS, "worse": 0.1},
        {"terms": TERMS[:3]},
        {"terms": TERMS, "findings": [SimpleNamespace(harmful=True)]},
        {"terms": [Term("stale-statistics", 0.5, 0.0)]},
    ],
    ids=["evaluation-is-hardly-worse", "little-in-all", "told-already", "one-alone"],
)
def test_what_is_no_gap_or_told_already_is_not(monkeypatch, given):
    assert judged(monkeypatch, **given) == []
