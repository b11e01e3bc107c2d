"""One training serves two policies in this framework, and each image's features are computed once."""

import dataclasses

import pytest

from compare.cells import cell as cell_module
from compare.spec import POLICIES
from tests.support.course_checks import (
    AFTER,
    LED,
    follower_is_as_if_it_had_trained,
    trained_after_another_is_as_if_alone,
)
from tests.support.small_run import train


@pytest.mark.parametrize(("leader", "follower"), LED)
def test_a_follower_is_as_if_it_had_trained(monkeypatch, tmp_path, leader, follower):
    follower_is_as_if_it_had_trained("keras", monkeypatch, tmp_path, leader, follower)


# the second pair traces two training graphs three times
@pytest.mark.parametrize(
    ("before", "policy"), [AFTER[0], *(pytest.param(*pair, marks=pytest.mark.slow) for pair in AFTER[1:])]
)
def test_a_cell_after_another_is_as_if_it_were_alone(monkeypatch, tmp_path, before, policy):
    trained_after_another_is_as_if_alone("keras", monkeypatch, tmp_path, before, policy)


@pytest.mark.parametrize("policy", ["frozen", "adapted"])
def test_features_computed_once_train_the_same(policy, tmp_path, monkeypatch):
    once = train("keras", policy, tmp_path, "native")
    monkeypatch.setattr(cell_module, "POLICIES", {policy: _plain(POLICIES[policy])})
    plainly = train("keras", policy, tmp_path, "native")
    for ours, theirs in zip(once.history, plainly.history, strict=True):
        for part in ("fit", "evaluate", "val"):
            assert ours.part(part)["loss"] == pytest.approx(theirs.part(part)["loss"], abs=1e-6)


def _plain(policy):
    """The same policy, whose backbone runs at every step."""

    class Plain(type(policy)):
        fixed_in_fit = fixed_in_evaluate = False

    return Plain(**dataclasses.asdict(policy))
