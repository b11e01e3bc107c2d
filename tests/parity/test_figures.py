"""The figures that the parity check promises, at full width. An hour on two cores: `pytest -m slow`."""

from dataclasses import replace
from pathlib import Path

import pytest

from compare.parity.certificate import prepare
from compare.parity.check import Check
from compare.parity.stages import STAGES, Pair, run
from compare.spec import POLICIES

NETWORKS = {
    "resnet50 v1": Check(steps=20),
    "resnet50 v1.5": Check(variant="v1.5", steps=20),
    "vgg16": Check(backbone="vgg16", steps=20),
}
OPTIMIZERS = {
    "adamw": {"optimizer": "adamw", "weight_decay": 0.004},
    "rmsprop": {"optimizer": "rmsprop"},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01, "learning_rate": 1e-2},
}
TWO = ("fine-tune", "frozen")  # without BN the other policies are one of these
ADAM = {"resnet50 v1": POLICIES, "resnet50 v1.5": TWO, "vgg16": TWO}
CASES = [(network, policy) for network in NETWORKS for policy in ADAM[network]]

pytestmark = pytest.mark.slow


def figures(check):
    with Pair(check.dtype) as pair:
        path = pair.file("weights")
        check = prepare(check, Path(path))
        found = {stage.name: stage for stage in run(pair, check, path)}
    for stage in found.values():
        print(check.backbone, check.policy, check.dtype, stage.name, stage.verdict, stage.worst)
    stages = [name for name in STAGES if not (name == "statistics" and check.backbone == "vgg16")]
    assert {name: stage.verdict for name, stage in found.items()} == dict.fromkeys(stages, "same")
    return found


@pytest.mark.parametrize(("network", "policy"), CASES)
def test_float64_at_full_width(network, policy):
    found = figures(replace(NETWORKS[network], policy=policy))
    assert max(row.relative for row in found["free"].rows) <= 1e-9


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_other_optimizers(optimizer, dtype):
    found = figures(replace(NETWORKS["resnet50 v1"], dtype=dtype, **OPTIMIZERS[optimizer]))
    assert dtype == "float32" or max(row.relative for row in found["free"].rows) <= 1e-9


@pytest.mark.parametrize(("network", "policy"), CASES)
def test_float32_at_full_width(network, policy):
    figures(replace(NETWORKS[network], policy=policy, dtype="float32"))


@pytest.mark.parametrize("network", NETWORKS)
def test_float32_forward_at_224_px(network):
    check = replace(NETWORKS[network], dtype="float32", image_size=224, batch_size=2, steps=1)
    assert figures(replace(check, policy="frozen"))["forward"].rows[-1].relative <= 2e-6
