"""What is shown of a parity check: the page, and the table of two files."""

import re
from pathlib import Path

import numpy as np
import pytest

from compare.parity import page
from compare.parity.certificate import Result
from compare.parity.check import Check
from compare.parity.figures import Distance, Stage
from compare.parity.stages import free
from compare.parity.terminal import HERE, MOST_ARRAYS, figure, print_files, verdict
from tests.support.report_pages import Page
from tests.support.terminals import console_of

STYLE = Path(__file__).parents[2] / "compare" / "pages" / "style.css"


def row(name, relative=0.0, bar=1e-12):
    return Distance(name, relative, relative, 0.0, 1.0, 1.0 if relative <= bar else 0.5, bar, 0.0)


def stage(*rows, **settings):
    apart = next((own.name for own in rows if not own.same), "")
    return Stage("forward", "differs" if apart else "same", apart, list(rows), **settings)


def result(found, variant="v1"):
    return Result(Check(variant=variant), {"frozen": [found]}, {"weights": "ab"}, {"keras": "3"}, 0)


def printed(found, width=80):
    console, text = console_of(width)
    print_files(found, console)
    return text()


@pytest.mark.parametrize("names", [("a",), ("conv5_block3_3_conv/kernel/" * 4, "features.28.weight")])
def test_the_table_of_two_files_fits_80_columns_and_cuts_nothing_off(names):
    text = printed(stage(*(row(name, 1e-3) for name in names)))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for name in names:
        assert name in "".join(line.split()[0] for line in text.splitlines() if line.split()) or name in text
    assert HERE.split()[0] in text


def test_of_many_arrays_those_that_differ_are_shown_and_the_rest_counted():
    rows = [row(f"same{i}") for i in range(300)] + [row("bad", 1e-3), row("worse", 1e-1)]
    text = printed(stage(*rows))
    lines = [line.split()[0] for line in text.splitlines() if "0%" in line]
    assert lines[:2] == ["worse", "bad"]
    assert len(lines) == MOST_ARRAYS
    assert f"and {302 - MOST_ARRAYS} more, all within their bars" in text
    assert text.rstrip().endswith("302 arrays, 300 of them bit for bit")
    assert "3 of them differ" in printed(stage(*(row(f"bad{i}", 1e-3) for i in range(MOST_ARRAYS + 3))))


def test_long_lists_of_notes_end_in_a_count():
    text = printed(stage(row("a"), notes=[f"only in the first file: {i}" for i in range(100)]))
    assert text.count("only in the first file") == 8
    assert "... and 92 more" in text


def test_the_page_has_the_verdict_the_place_and_every_array():
    found = stage(row("conv1", 1e-15), row("conv2", 1e-3))
    text = page.render(result(found))
    shown = Page(text)
    assert verdict([found]) in shown.text
    assert "departs at conv2" in shown.text
    assert "conv1 1.0e-15" in shown.text
    assert "http" not in text
    css = STYLE.read_text()
    for name in re.findall(r'class="(\w+)[ "]', text):
        assert f".{name}" in css


def test_everything_on_the_page_is_escaped():
    attack = "<script>alert(1)</script>"
    found = Stage("forward", "differs", attack, [row(attack, 1.0)], [attack])
    text = Page(page.render(result(found, variant=attack)))
    assert "script" not in text.tags
    assert text.text.count(attack) >= 4


def test_a_free_run_is_drawn_beside_its_twin():
    check = Check(steps=3)
    alike = [(1.0, np.full((2, 1), 0.5)), (0.9, np.full((2, 1), 0.4)), (0.8, np.full((2, 1), 0.3))]
    apart, twin = ([(loss * (1 + by), p) for loss, p in alike] for by in (3e-12, 1e-12))
    found = free(check, apart, alike, [twin])
    assert [f"{own.twin:.0e}" for own in found.rows] == ["1e-12"] * 3
    shown = Page(page.render(result(found)))
    assert "a twin, one rounding away" in shown.text
    assert "parting-frozen-" in "".join(shown.ids)
    assert "svg" not in Page(page.render(result(stage(row("conv1"))))).tags


@pytest.mark.parametrize(("ulp", "said"), [(0.94, "(0.94 ulp)"), (4353909997402784.5, "(4.35e+15 ulp)")])
def test_units_of_rounding_are_shown_with_no_more_digits_than_they_mean(ulp, said):
    assert said in figure(Distance("a", 1.0, 1.0, 0.0, 1.0, 1.0, 2.0, ulp))
