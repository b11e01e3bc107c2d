"""In `matched` numerics, with a frozen backbone, both frameworks draw the same loss curves."""

import pytest

from tests.support.small_run import results

TOLERANCE = {  # float32 rounding, relative: batch statistics feed it back from layer to layer, moving ones don't
    "frozen-batch-stats": 1e-4,
    "frozen-drifting": 1e-4,
    "batch-stats": 1e-4,
    "frozen": 1e-5,
    "features": 1e-5,
    "adapted": 1e-5,
}


@pytest.fixture(scope="module")
def found(process, tmp_path_factory):
    return {
        name: process(name).call(results, name, tmp_path_factory.mktemp(name), list(TOLERANCE))
        for name in ("keras", "torch")
    }


@pytest.mark.parametrize("policy", TOLERANCE)
def test_loss_curves_agree(found, policy):
    keras, torch = (found[framework][policy]["history"] for framework in ("keras", "torch"))
    assert len(keras) == len(torch) == 5
    for ours, theirs in zip(torch, keras, strict=True):
        for part in ("fit", "evaluate", "val"):
            assert ours[part]["loss"] == pytest.approx(theirs[part]["loss"], rel=TOLERANCE[policy]), (
                policy,
                part,
            )


def test_the_curves_are_not_trivial(found):
    """Losses move from epoch to epoch and differ between policies, so that agreeing means something."""
    for policies in found.values():
        curves = {
            name: [row["fit"]["loss"] for row in result["history"]] for name, result in policies.items()
        }
        assert all(max(curve) - min(curve) > 1e-2 for curve in curves.values())
        assert curves["frozen"] != curves["frozen-batch-stats"] != curves["adapted"]
