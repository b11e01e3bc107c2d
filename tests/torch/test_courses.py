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


@pytest.mark.parametrize(("leader", "follower"), LED)
def test_a_follower_is_as_if_it_had_trained(monkeypatch, tmp_path, leader, follower):
    follower_is_as_if_it_had_trained("torch", monkeypatch, tmp_path, leader, follower)


def test_a_follower_is_explained_by_the_leaders_passes(monkeypatch, tmp_path):
    follower_is_explained_by_the_leaders_passes("torch", monkeypatch, tmp_path)


@pytest.mark.parametrize(("before", "policy"), AFTER)
def test_a_cell_after_another_is_as_if_it_were_alone(monkeypatch, tmp_path, before, policy):
    trained_after_another_is_as_if_alone("torch", monkeypatch, tmp_path, before, policy)


@pytest.mark.parametrize("policy", ["frozen", "adapted", "frozen-drifting"])
def test_features_computed_once_train_the_same(policy, tmp_path, monkeypatch):
    features_computed_once_train_the_same("torch", monkeypatch, tmp_path, policy)
