"""One training serves two policies in this framework."""

import pytest

from tests.support.course_checks import LED, follower_is_as_if_it_had_trained


@pytest.mark.parametrize(("leader", "follower"), LED)
def test_a_follower_is_as_if_it_had_trained(monkeypatch, tmp_path, leader, follower):
    follower_is_as_if_it_had_trained("keras", monkeypatch, tmp_path, leader, follower)
