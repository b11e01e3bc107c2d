"""The bars of the terms: small ones can be read beside a large one."""

import pytest

from compare.pages.figures.bars import Bar, bars


def drawn(*gaps):
    rows = {
        f"row {number}": {"Keras": Bar({"stale-statistics": gap}, gap, None, gap > 0.02)}
        for number, gap in enumerate(gaps)
    }
    return bars(rows, ["Keras"], {"stale-statistics": "stale statistics"})


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_bar_far_longer_than_the_rest_is_cut_and_says_its_figure():
    figure = drawn(4.0, 0.05, 0.04)
    assert figure.axes[0].get_xlim()[1] < 0.5
    assert "\N{RIGHTWARDS ARROW} +4.00" in texts(figure)
    assert "arrow" in figure.get_supxlabel()


@pytest.mark.parametrize("gaps", [(0.12, 0.05), (4.0,), (4.0, 3.0, 0.05), (0.0, -0.05, -0.04)])
def test_no_other_bar_is_cut(gaps):
    figure = drawn(*gaps)
    assert figure.axes[0].get_xlim()[1] >= max(gaps)
    assert not any("\N{RIGHTWARDS ARROW}" in text for text in texts(figure))
    assert "arrow" not in figure.get_supxlabel()
