"""`compare run` itself, both frameworks, on a folder of JPEGs that isn't ELPV."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

SMALL = ["--weights", "pretext", "--images", "16", "--image-size", "32", "--batch-size", "8", "--epochs", "2"]

POLICIES = ["--backbone", "resnet50", "--policy", "frozen-batch-stats", "--policy", "frozen"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty JPEGs of two classes: stripes that run one way or the other, of different sizes."""
    root, rng = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    for name, count in (("across", 25), ("down", 15)):
        (root / name).mkdir()
        for number in range(count):
            height, width = rng.integers(40, 90, 2)
            wave = 127 * np.sin(np.arange(height)[:, None] / rng.uniform(2, 5)) + rng.normal(
                0, 20, (height, width)
            )
            pixels = np.clip(wave + 128, 0, 255).astype(np.uint8)
            Image.fromarray(pixels.T if name == "down" else pixels).save(root / name / f"{number}.jpg")
    return root


def _rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def _run(folder, out, *options):
    command = [
        sys.executable,
        "-m",
        "compare",
        "run",
        "--data",
        str(folder),
        "--out",
        str(out),
        *SMALL,
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def twice(folder, tmp_path_factory):
    """The same command, twice."""
    outs = [tmp_path_factory.mktemp("runs") / "run" for _ in range(2)]
    return [(out, _run(folder, out, *POLICIES)) for out in outs]


def test_ends_in_a_table_and_a_report(twice):
    for out, run in twice:
        assert run.returncode == 0, run.stderr
        assert "frozen-batch-stats" in run.stdout
        assert "Keras" in run.stdout
        assert "PyTorch" in run.stdout
        assert (out / "report.html").stat().st_size > 10_000
        rows = _rows(out / "results.csv")
        assert [(row["framework"], row["policy"], row["status"]) for row in rows] == [
            (framework, policy, "finished")
            for framework in ("keras", "torch")
            for policy in ("frozen-batch-stats", "frozen")
        ]


@pytest.mark.parametrize("table", ["results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv"])
def test_the_same_command_gives_the_same_bytes(twice, table):
    first, second = ((out / table).read_bytes() for out, _ in twice)
    assert first == second


def test_on_ray_it_gives_the_same_bytes(twice, folder, tmp_path):
    pytest.importorskip("ray", reason="Ray isn't installed: pip install 'compare-bn[ray]'")
    run = _run(folder, tmp_path / "run", *POLICIES, "--engine", "ray")
    assert run.returncode == 0, run.stderr
    local, _ = twice[0]
    tables = ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv")
    assert len((local / "layers.csv").read_text()) > 1000
    for file in (*tables, "weights.safetensors", "cells/keras-frozen-native-seed0/best.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (local / file).read_bytes(), file


def test_the_gap_is_evaluate_minus_fit_on_the_same_samples(twice):
    out, _ = twice[0]
    last = {row["policy"]: row for row in _rows(out / "history.csv") if row["epoch"] == "2"}
    for row in _rows(out / "results.csv"):
        for metric in ("loss", "accuracy"):
            difference = float(row[f"evaluate_{metric}"]) - float(row[f"fit_{metric}"])
            assert float(row[f"gap_{metric}"]) == pytest.approx(difference, abs=1e-7)
    for row in last.values():  # the same samples: as many positives and negatives in both
        for positive, negative in (("tp", "fn"), ("tn", "fp")):
            fit, evaluate = (
                float(row[f"{p}_{positive}"]) + float(row[f"{p}_{negative}"]) for p in ("fit", "evaluate")
            )
            assert fit == evaluate


def test_the_terms_of_the_gap_add_up(twice):
    out, _ = twice[0]
    gaps, counts = {}, {"frozen-batch-stats": 0, "frozen": 0}
    for row in _rows(out / "gap.csv"):
        key = (row["framework"], row["policy"], row["epoch"], row["metric"])
        gaps[key] = gaps.get(key, 0) + float(row["value"])
        counts[row["policy"]] += row["term"] == "foreign-statistics" and float(row["value"]) != 0
    epochs = {(row["framework"], row["policy"], row["epoch"]): row for row in _rows(out / "history.csv")}
    for (framework, policy, epoch, metric), value in gaps.items():
        row = epochs[framework, policy, epoch]
        gap = float(row[f"evaluate_{metric}"]) - float(row[f"fit_{metric}"])
        assert value == pytest.approx(gap, abs=1e-6)
    for framework, policy in {key[:2] for key in epochs}:
        assert (framework, policy, "2", "loss") in gaps  # the last epoch at least
    assert counts["frozen-batch-stats"] > 0 == counts["frozen"]


def test_the_drift_of_every_bn_layer_is_there(twice):
    out, _ = twice[0]
    layers = [row for row in _rows(out / "layers.csv") if row["framework"] == "torch" and row["epoch"] == "2"]
    assert len(layers) == 53
    assert {row["policy"] for row in layers} == {"frozen-batch-stats"}
    assert {row["stage"] for row in layers} == {"stem", "conv2", "conv3", "conv4", "conv5"}
    assert all(
        0 < float(row["mean_drift_median"]) <= float(row["mean_drift_p95"]) <= float(row["mean_drift_max"])
        for row in layers
    )
    stages = [row["stage"] for row in _rows(out / "stages.csv") if row["metric"] == "loss"]
    assert {"stem", "conv5"} <= set(stages)


def test_vgg16_has_no_bn_gap_and_says_why(folder, tmp_path):
    options = [
        "--backbone",
        "vgg16",
        "--framework",
        "torch",
        "--policy",
        "frozen",
        "--policy",
        "frozen-batch-stats",
    ]
    run = _run(folder, tmp_path / "run", *options)
    assert run.returncode == 0, run.stderr
    assert "vgg16 has no BN layers, so policies that differ only in BN are one training" in run.stderr
    assert "no BN" in run.stdout
    assert len(_rows(tmp_path / "run" / "results.csv")) == 1


def test_three_classes_with_names_of_all_kinds(folder, tmp_path):
    rng = np.random.default_rng(1)
    names = ("Äpfel & <b>rot", "it's a plum", "birnen")
    for number, name in enumerate(names):
        (tmp_path / "fruit" / name).mkdir(parents=True)
        for image in range(8 + number):
            pixels = rng.integers(0, 150, (40, 40, 3))
            pixels[..., number] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "fruit" / name / f"{image}.png")
    run = _run(tmp_path / "fruit", tmp_path / "run", "--backbone", "resnet50", "--framework", "torch",
               "--policy", "frozen-batch-stats", "--policy", "features")  # fmt: skip
    assert run.returncode == 0, run.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["images_a_class"] == {"birnen": 10, "it's a plum": 9, "Äpfel & <b>rot": 8}
    rows = _rows(tmp_path / "run" / "history.csv")
    assert {"fit_balanced_accuracy", "val_macro_f1", "evaluate_recall_2"} <= rows[0].keys()
    assert "fit_tp" not in rows[0]
    last = {row["policy"]: row for row in rows if row["epoch"] == "2"}
    recalls = [float(last["features"][f"val_recall_{k}"]) for k in range(3)]
    assert float(last["features"]["val_balanced_accuracy"]) == pytest.approx(sum(recalls) / 3, abs=1e-6)
    sums = {}
    for row in _rows(tmp_path / "run" / "gap.csv"):
        key = (row["policy"], row["epoch"], row["metric"])
        sums[key] = sums.get(key, 0) + float(row["value"])
    for (policy, epoch, metric), value in sums.items():
        row = next(row for row in rows if (row["policy"], row["epoch"]) == (policy, epoch))
        assert value == pytest.approx(
            float(row[f"evaluate_{metric}"]) - float(row[f"fit_{metric}"]), abs=1e-6
        )
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>rot" not in page
    assert "Äpfel &amp; &lt;b&gt;rot" in page
