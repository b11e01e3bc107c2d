"""One training serves two policies in this framework, and each image's features are computed once."""

import pytest

from tests.support.course_checks import (
    AFTER,
    LED,
    features_computed_once_train_the_same,
    follower_is_as_if_it_had_trained,
    follower_is_explained_by_the_leaders_passes,
    trained_after_another_is_as_if_alone,
)
from tests.support.shallow import shallow


@pytest.fixture(autouse=True)
def few_blocks():
    with shallow():
        yield


@pytest.mark.parametrize(("leader", "follower"), LED)
def test_a_follower_is_as_if_it_had_trained(monkeypatch, tmp_path, leader, follower):
    follower_is_as_if_it_had_trained("keras", monkeypatch, tmp_path, leader, follower)


def test_a_follower_is_explained_by_the_leaders_passes(monkeypatch, tmp_path):
    follower_is_explained_by_the_leaders_passes("keras", monkeypatch, tmp_path)


# the second pair traces two training graphs three times
@pytest.mark.parametrize(
    ("before", "policy"), [AFTER[0], *(pytest.param(*pair, marks=pytest.mark.slow) for pair in AFTER[1:])]
)
def test_a_cell_after_another_is_as_if_it_were_alone(monkeypatch, tmp_path, before, policy):
    trained_after_another_is_as_if_alone("keras", monkeypatch, tmp_path, before, policy)


@pytest.mark.parametrize("policy", ["frozen", "adapted", "frozen-drifting"])
def test_features_computed_once_train_the_same(policy, tmp_path, monkeypatch):
    features_computed_once_train_the_same("keras", monkeypatch, tmp_path, policy)
