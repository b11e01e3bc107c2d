"""How figures become words."""

import pytest

from compare.words import Span, join, plain, points, signed


@pytest.mark.parametrize(
    ("value", "text"), [(0.041, "+0.04"), (-0.041, "-0.04"), (0.001, "0.00"), (-0.001, "0.00")]
)
def test_what_rounds_to_nothing_has_no_sign(value, text):
    assert signed(value) == text


def test_words_are_listed_as_people_list_them():
    assert [join(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_a_sentence_is_its_parts_without_their_tones():
    assert plain((Span("gap", "worse"), Span(" of "), Span("none", "well"))) == "gap of none"


def test_a_share_is_a_hundred_points():
    assert points(0.05) == pytest.approx(5)
