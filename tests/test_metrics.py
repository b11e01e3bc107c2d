"""The eleven metrics are the same numbers in both frameworks, each measured in a process of its own."""

import numpy as np
import pytest

from tests.support import far_functions
from tests.support.metric_cases import cases, cases_of_classes


@pytest.fixture(scope="module")
def measured(process):
    every = cases() | cases_of_classes()
    return {
        framework: {
            name: process(framework).call(far_functions.named, f"{framework}_impl.metrics", "measure", *case)
            for name, case in every.items()
        }
        for framework in ("keras", "torch")
    }


@pytest.mark.parametrize("case", cases())
def test_frameworks_agree(measured, case):
    keras, torch = measured["keras"][case], measured["torch"][case]
    assert len(keras) == 11
    assert torch == pytest.approx(keras, rel=1e-6, abs=1e-6)
    assert list(torch) == list(keras)


def test_the_numbers_are_right(measured):
    """Against the definitions, on the random case: a shared mistake would pass the comparison above."""
    p, y = cases()["random"]
    found = measured["torch"]["random"]
    pairs = p[y == 1][:, None] - p[y == 0][None]
    exact_auc = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert found["auc"] == pytest.approx(exact_auc, abs=5e-3)  # 200 thresholds approximate it
    assert found["tp"] == ((p > 0.5) & (y == 1)).sum()
    assert found["fn"] == ((p <= 0.5) & (y == 1)).sum()
    assert found["precision"] == pytest.approx(found["tp"] / (found["tp"] + found["fp"]))
    assert found["accuracy"] == pytest.approx(((p > 0.5) == (y == 1)).mean())
    assert found["brier_score"] == pytest.approx(((p - y) ** 2).mean(), rel=1e-6)


@pytest.mark.parametrize("case", cases_of_classes())
def test_frameworks_agree_on_more_than_two_classes(measured, case):
    keras, torch = measured["keras"][case], measured["torch"][case]
    assert len(keras) == 8 + 2 * cases_of_classes()[case][1].shape[1]
    assert torch == pytest.approx(keras, rel=1e-5, abs=1e-6)


def test_the_numbers_of_classes_are_right(measured):
    p, labels = cases_of_classes()["three"]
    y, chosen = labels.argmax(1), p.argmax(1)
    found = measured["torch"]["three"]
    recalls = [(chosen[y == k] == k).mean() for k in range(3)]
    precisions = [(y[chosen == k] == k).mean() for k in range(3)]
    f1 = [2 * a * b / (a + b) for a, b in zip(recalls, precisions, strict=True)]
    aucs = []
    for k in range(3):
        pairs = p[y == k, k][:, None] - p[y != k, k][None]
        aucs.append(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert found["accuracy"] == pytest.approx((chosen == y).mean())
    assert found["balanced_accuracy"] == pytest.approx(sum(recalls) / 3)
    assert found["macro_precision"] == pytest.approx(sum(precisions) / 3)
    assert found["macro_f1"] == pytest.approx(sum(f1) / 3)
    assert [found[f"recall_{k}"] for k in range(3)] == pytest.approx(recalls)
    assert found["cross_entropy"] == pytest.approx(-np.log(p[range(len(y)), y]).mean(), rel=1e-5)
    assert found["brier_score"] == pytest.approx(((p - labels) ** 2).sum(1).mean(), rel=1e-5)
    assert found["auc"] == pytest.approx(sum(aucs) / 3, abs=5e-3)
