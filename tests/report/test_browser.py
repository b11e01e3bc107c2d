"""The page as a browser draws it."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest
from PIL import Image

from tests.support.report_pages import reported
from tests.support.synthetic_run import CONFIG, make_cells, make_run, write_run
from tests.support.waiting import LONG

# what no page on this disk needs
QUIET = (
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser():
    """Chromium; where there is none these tests are left out, unless NEEDS_BROWSER is set."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        (pytest.fail if os.environ.get("NEEDS_BROWSER") else pytest.skip)("no Chromium on this machine")
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a run with all the default policies in both frameworks."""
    return reported(make_run(tmp_path_factory.mktemp("default") / "run"))


@pytest.fixture
def browse(browser, tmp_path):
    """Open a page and return what the browser prints."""

    def open_page(page, *options):
        own = (f"--user-data-dir={tmp_path / 'profile'}", "--headless", "--no-sandbox", "--disable-gpu")
        command = [browser, *own, "--hide-scrollbars", *QUIET, *options, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONG).stdout

    return open_page


@pytest.fixture
def measured(browse, tmp_path):
    """Open a page with a width and return what an expression of JavaScript comes to there."""

    def measure(page, width, expression, media=None):
        text = page.read_text()
        if media:  # as that medium shows it, at a width that can be chosen
            text = text.replace(f"@media {media}", "@media all")
        script = f"<script>document.title = JSON.stringify({expression})</script></body>"
        copy = tmp_path / "measured.html"
        copy.write_text(text.replace("</body>", script))
        dom = browse(copy, f"--window-size={width},900", "--dump-dom")
        return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom)[1]))

    return measure


@pytest.mark.parametrize(
    ("scheme", "paper"), [(0, (23, 24, 27)), (1, (255, 255, 254))], ids=["dark", "light"]
)
def test_a_browser_draws_it_in_dark_and_light(report, browse, tmp_path, scheme, paper):
    picture = tmp_path / "page.png"
    scheme = f"--blink-settings=preferredColorScheme={scheme}"
    browse(report, scheme, "--window-size=1280,6000", f"--screenshot={picture}")
    colours = Image.open(picture).convert("RGB").getcolors(2**24)
    found = {colour: count for count, colour in colours}
    assert max(found, key=found.get) == paper
    # the heat map's darkest cells and the bars of dropout are there
    assert min(sum(abs(a - b) for a, b in zip(colour, (0, 158, 115), strict=True)) for colour in found) < 9
    assert min(sum(abs(a - b) for a, b in zip(colour, (216, 84, 9), strict=True)) for colour in found) < 30


WIDTH = "document.documentElement.scrollWidth"


def test_a_phone_need_not_scroll_the_page_sideways(tmp_path, measured):
    long = "a_class_whose_name_is_longer_than_the_screen_of_a_phone_is_wide_" * 2
    config = CONFIG | {"data": CONFIG["data"] | {"classes": [long, "x"]}}
    folder = write_run(tmp_path / "run", make_cells(("frozen", "fine-tune"), seeds=2), config)
    assert measured(reported(folder), 500, WIDTH) <= 500


def test_on_a_phone_a_row_is_a_card_that_hides_nothing(report, measured):
    rows, table, page = measured(
        report,
        500,
        "[[...document.querySelectorAll('.results tbody tr')].map(row => row.offsetHeight),"
        " document.querySelector('.results').scrollWidth, document.querySelector('.results').clientWidth]",
    )
    assert len(rows) == 6
    assert max(rows) < 360  # less than half a screen, words of both frameworks among it
    assert table <= page
    words = measured(report, 500, "[...document.querySelectorAll('td.words')].map(cell => cell.offsetWidth)")
    assert min(words) > 400


def test_code_that_is_cut_off_has_a_shade_where_it_goes_on(report, measured):
    wide, shade, focus = measured(
        report,
        500,
        "[[...document.querySelectorAll('pre')].some(code => code.scrollWidth > code.clientWidth),"
        " getComputedStyle(document.querySelector('pre')).backgroundImage,"
        " document.querySelector('pre').tabIndex]",
    )
    assert wide
    assert "radial-gradient" in shade
    assert focus == 0


def test_on_paper_nothing_is_wider_than_the_page(report, measured):
    assert measured(report, 700, WIDTH, media="print") <= 700


def test_on_paper_every_cure_is_open_and_what_else_is_closed_is_left_out(report, measured):
    heights = "[...document.querySelectorAll('details:not([open])')].filter(part => {})"
    cured = heights.format("part.closest('.answer')") + ".map(part => part.lastElementChild.offsetHeight)"
    other = heights.format("!part.closest('.answer')") + ".map(part => part.offsetHeight)"
    assert min(measured(report, 700, cured, media="print")) > 0
    assert max(measured(report, 700, other, media="print")) == 0
