"""The story that started this, on photographs of solar cells at the quick preset's size: figures seed by seed."""

import csv
import subprocess
import sys
from statistics import mean

import pytest

POLICIES = ("frozen-batch-stats", "frozen", "features", "fine-tune")
pytestmark = pytest.mark.slow  # 24 trainings


@pytest.fixture(scope="module")
def gaps(tmp_path_factory):
    """(framework, policy, seed) -> evaluate minus fit on the same samples, averaged over the epochs, by metric."""
    out = tmp_path_factory.mktemp("story") / "run"
    command = [sys.executable, "-m", "compare", "run", "--backbone", "resnet50", "--weights", "pretext"]
    options = [f"--policy={policy}" for policy in POLICIES]
    run = subprocess.run([*command, *options, "--seeds", "3", "--explain", "nothing", "--out", str(out)])
    assert run.returncode == 0
    return _gaps(out / "history.csv")


def _gaps(history):
    epochs = {}
    for row in csv.DictReader(history.read_text().splitlines()):
        epochs.setdefault((row["framework"], row["policy"], int(row["seed"])), []).append(row)
    return {
        cell: {
            metric: mean(float(row[f"evaluate_{metric}"]) - float(row[f"fit_{metric}"]) for row in rows)
            for metric in ("loss", "accuracy")
        }
        for cell, rows in epochs.items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_fine_tune_has_a_gap_at_kerass_decay_and_none_at_pytorchs(gaps, seed):
    assert gaps["keras", "fine-tune", seed]["loss"] > 0.1
    assert gaps["torch", "fine-tune", seed]["loss"] < 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_foreign_statistics_cost_loss_and_accuracy(gaps, framework, seed):
    foreign, frozen = (gaps[framework, policy, seed] for policy in ("frozen-batch-stats", "frozen"))
    assert foreign["loss"] - frozen["loss"] >= 0.08
    assert frozen["accuracy"] - foreign["accuracy"] >= 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("framework", ["keras", "torch"])
@pytest.mark.parametrize("policy", ["frozen", "features"])
def test_bn_in_inference_mode_evaluates_below_fit(gaps, framework, policy, seed):
    assert gaps[framework, policy, seed]["loss"] < 0
