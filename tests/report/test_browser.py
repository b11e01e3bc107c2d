"""The page as a browser draws it."""

import re
import shutil
import subprocess

import pytest
from PIL import Image

from tests.support.report_pages import reported
from tests.support.synthetic_run import CONFIG, make_cells, make_run, write_run

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a run with all the default policies in both frameworks."""
    return reported(make_run(tmp_path_factory.mktemp("default") / "run"))


def browse(page, *options):
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(
    ("scheme", "paper"), [(0, (23, 24, 27)), (1, (255, 255, 254))], ids=["dark", "light"]
)
def test_a_browser_draws_it_in_dark_and_light(report, tmp_path, scheme, paper):
    picture = tmp_path / "page.png"
    scheme = f"--blink-settings=preferredColorScheme={scheme}"
    browse(
        report, scheme, f"--user-data-dir={tmp_path}", "--window-size=1280,6000", f"--screenshot={picture}"
    )
    colours = Image.open(picture).convert("RGB").getcolors(2**24)
    found = {colour: count for count, colour in colours}
    assert max(found, key=found.get) == paper
    # the heat map's darkest cells and the bars of dropout are there
    assert min(sum(abs(a - b) for a, b in zip(colour, (0, 158, 115), strict=True)) for colour in found) < 9
    assert min(sum(abs(a - b) for a, b in zip(colour, (216, 84, 9), strict=True)) for colour in found) < 30


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_phone_need_not_scroll_the_page_sideways(tmp_path):
    long = "a_class_whose_name_is_longer_than_the_screen_of_a_phone_is_wide_" * 2
    config = CONFIG | {"data": CONFIG["data"] | {"classes": [long, "x"]}}
    folder = write_run(tmp_path / "run", make_cells(("frozen", "fine-tune"), seeds=2), config)
    page = reported(folder)
    measure = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    page.write_text(page.read_text().replace("</body>", measure))
    title = re.search(
        r"<title>(\d+)</title>",
        browse(page, f"--user-data-dir={tmp_path}", "--window-size=500,900", "--dump-dom"),
    )
    assert int(title[1]) <= 500
