"""On a card: the same function as the other framework, the same bytes twice, and a run that names it."""

import csv
import json
from dataclasses import replace

import pytest

from compare.cli import app as cli
from compare.frameworks import FRAMEWORKS
from compare.parity.certificate import check_parity
from compare.parity.check import Check
from compare.processes import devices
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
@pytest.mark.parametrize("policy", ["frozen-drifting", "fine-tune"])
def test_any_two_frameworks_are_the_same_function_on_a_card(seeing, policy, dtype):
    if len(seeing) < 2:
        pytest.skip(f"only {seeing[0]} computes on a CUDA device here")
    check = Check(width=0.25, steps=3, dtype=dtype, device="cuda")
    for other in seeing[1:]:
        result = check_parity(replace(check, frameworks=(seeing[0], other)), (policy,))
        assert result.same, {stage.name: (stage.verdict, stage.worst) for stage in result.stages[policy]}


def test_a_run_on_a_card_names_it_and_is_the_same_twice(seeing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos_in(tmp_path)
    for name in ("one", "two"):
        command = [
            "run",
            "--backbone",
            "resnet50",
            "--data",
            "photos",
            "--weights",
            "pretext",
            "--epochs",
            "2",
        ]
        command += ["--image-size", "64", "--batch-size", "8", "--policy", "frozen", "--policy", "fine-tune"]
        command += [part for framework in seeing for part in ("--framework", framework)]
        assert cli.main([*command, "--device", "cuda", "--out", name]) == 0
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert all(config["devices"][name].startswith("cuda (") for name in seeing)
    for table in ("results", "history", "gap", "layers", "stages"):
        one, two = (list(csv.reader((tmp_path / run / f"{table}.csv").open())) for run in ("one", "two"))
        assert one == two, table
