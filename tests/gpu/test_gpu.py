"""On a card: the same function as the other framework, the same bytes twice, and a run that names it."""

import csv
import json
from pathlib import Path

import pytest

from compare.cli import app as cli
from compare.frameworks import FRAMEWORKS
from compare.parity.certificate import check_parity
from compare.parity.check import Check
from compare.processes import devices
from compare.processes.worker import Worker
from tests.support import own_model
from tests.support.command_line import photos_in

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not devices.plausible("cuda"), reason="there is no CUDA device here"),
]
INSTALLED = [name for name, framework in FRAMEWORKS.items() if not framework.missing]


@pytest.fixture(scope="module")
def seeing():
    """The frameworks that compute on a card here."""
    found = devices.find("auto", INSTALLED)
    names = [name for name, kind in found.of.items() if kind == "cuda"]
    if not names:
        pytest.skip(f"no framework computes on a CUDA device here; {found.said}")
    return names


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("other", [1, 2, 3])
def test_any_two_frameworks_are_the_same_function_on_a_card(seeing, other, dtype):
    if len(seeing) <= other:
        pytest.skip(f"only {' and '.join(seeing)} compute on a CUDA device here")
    check = Check(width=0.125, steps=3, dtype=dtype, device="cuda", frameworks=(seeing[0], seeing[other]))
    result = check_parity(check, ("frozen-drifting", "fine-tune"))
    assert result.same, [
        (name, stage.name, stage.verdict, stage.worst)
        for name, stages in result.stages.items()
        for stage in stages
    ]


def run(seeing, out, device):
    command = ["run", "--backbone", "resnet50", "--data", "photos", "--weights", "pretext", "--epochs", "2"]
    command += ["--image-size", "64", "--batch-size", "8", "--policy", "frozen", "--policy", "fine-tune"]
    command += ["--numerics", "matched"]  # masks of dropout that don't come from the device
    command += [part for framework in seeing for part in ("--framework", framework)]
    assert cli.main([*command, "--device", device, "--out", out]) == 0
    return {
        table: list(csv.DictReader(Path(out, f"{table}.csv").read_text().splitlines()))
        for table in ("results", "history", "gap", "layers", "stages")
    }


def test_a_run_on_a_card_names_it_is_the_same_twice_and_evaluates_as_the_cpu_does(
    seeing, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    photos_in(tmp_path)
    one, two, cpu = run(seeing, "one", "cuda"), run(seeing, "two", "cuda"), run(seeing, "cpu", "cpu")
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert all(config["devices"][name].startswith("cuda (") for name in seeing)
    assert one == two
    for card, here in zip(one["results"], cpu["results"], strict=True):
        if card["policy"] == "frozen":  # nothing in it makes much of a rounding
            for figure in ("fit_loss", "evaluate_loss", "val_loss"):
                assert float(card[figure]) == pytest.approx(float(here[figure]), rel=1e-3), figure


def test_a_model_on_a_card_is_diagnosed_as_it_is_on_the_cpu(seeing):
    for name in seeing:
        found = {}
        for where in ("cuda", "cpu"):
            with Worker(FRAMEWORKS[name], 1, device=where) as worker:
                found[where] = worker.call(own_model.diagnosed, FRAMEWORKS[name].side)
        card, here = found["cuda"], found["cpu"]
        assert "cpu" in here["where"], name
        assert "cpu" not in card["where"], name
        assert card["restored"] == here["restored"] == "same", name
        assert card["causes"] == here["causes"] == ["stale-statistics"], name
        assert card["audit"] == here["audit"], name
        for what in ("terms", "measured"):
            assert card[what] == pytest.approx(here[what], rel=1e-3, abs=1e-5), (name, what)
