import fcntl
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from PIL import Image

from compare.cells.store import LOCK
from compare.report.figures.bars import bars
from compare.report.figures.drift import _panel, _rows
from compare.report.load import load_run
from compare.report.page import write_report
from compare.spec import POLICIES, InputError
from compare.verdict.figures import groups
from tests.support.synthetic_run import CONFIG, make_cell, make_cells, make_explanation, make_run, write_run

ATTACK = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The tags, ids, text and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.words = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())
        self.code = "".join(self.words)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.addresses += [
            attributes[name] for name in ("src", "href", "xlink:href", "action") if name in attributes
        ]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a run with all the default policies in both frameworks."""
    return write_report(make_run(tmp_path_factory.mktemp("default") / "run"))


def page_of(folder):
    """The page, without the time that it takes to draw its figures."""
    with patch("compare.report.figures.drawing.save", return_value="<svg></svg>"):
        return Page(write_report(folder).read_text())


def spoil(folder, name, text):
    path = folder / "cells" / name / "cell.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_everything_from_outside_is_escaped(tmp_path):
    cells = make_cells(("frozen", "features"), failed=[("frozen", "keras", 0)])
    cells[0]["status"] = f"failed: {ATTACK} $x$"
    config = CONFIG | {
        ATTACK: {ATTACK: ATTACK},
        "command": ATTACK,
        "data": {"name": f"/photos/{ATTACK}", "classes": [ATTACK, '"><img src=x onerror=alert(1)>']},
    }
    folder = write_run(tmp_path / "run", cells, config)
    spoil(folder, f"a{ATTACK[:8]}", "{")
    page = Page(write_report(folder).read_text())
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count(ATTACK) >= 6
    assert ATTACK.encode() not in (folder / "figures" / "curves-resnet50-native.svg").read_bytes()


def test_the_page_needs_nothing_from_outside(report):
    text = report.read_text()
    assert "http" not in text
    assert "@import" not in text
    assert not [url for url in re.findall(r"url\(([^)]*)\)", text) if not url.startswith("#")]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in Page(text).addresses)


def test_ids_are_the_pages_own_and_every_reference_is_met(tmp_path):
    two = ("frozen", "fine-tune")
    folder = write_run(tmp_path, make_cells(two) + make_cells(two, numerics="matched"))
    text = write_report(folder).read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    referred = [address[1:] for address in page.addresses if address.startswith("#")]
    referred += re.findall(r"url\(#([^)]*)\)", text)
    assert referred
    assert set(referred) <= set(page.ids)


def test_sections_come_in_their_order(report):
    page = Page(report.read_text())
    drawn = ("curves-", "terms-", "drift-")
    assert [name for name in page.ids if not name.startswith(drawn)] == [
        "answer",
        "table",
        "curves",
        "terms",
        "drift",
        "code",
        "settings",
    ]


def test_the_table_shows_the_figures(tmp_path):
    cell = make_cell("fine-tune", "torch", epochs=2)
    for epoch, (fit, evaluate) in zip(cell["history"], ((0.5, 0.7), (0.4321, 0.6543)), strict=True):
        epoch["fit"] |= {"loss": fit, "accuracy": 0.75}
        epoch["evaluate"] |= {"loss": evaluate, "accuracy": 0.625}
    cell["explanations"] = [make_explanation(cell["history"][-1], "last", policy="fine-tune", decay=0.9)]
    text = page_of(write_run(tmp_path, [cell])).text
    assert "0.432 → 0.654 75.0 → 62.5 %" in text
    assert "+0.222 −12.5 +0.211 −12.5" in text
    assert (
        "more than all of it (+0.29) moving statistics that lag behind (decay 0.9); accuracy 12 points lower"
        in text
    )


def test_settings_versions_and_hashes_are_shown(report):
    text = Page(report.read_text()).text
    assert CONFIG["weights"]["sha256"] in text
    assert CONFIG["data"]["sha256"] in text
    assert f"keras {CONFIG['versions']['keras']}" in text
    assert "batch_size 32" in text
    assert "positive -" in text


def test_two_renderings_are_the_same_bytes(tmp_path):
    folder = make_run(tmp_path / "run", policies=("frozen", "fine-tune"), seeds=2)
    first = {path.name: path.read_bytes() for path in [write_report(folder), *(folder / "figures").iterdir()]}
    second = {
        path.name: path.read_bytes() for path in [write_report(folder), *(folder / "figures").iterdir()]
    }
    names = [f"{name}-resnet50-native" for name in ("curves", "drift", "terms")]
    assert set(first) == {"report.html", *(f"{name}.{kind}" for name in names for kind in ("png", "svg"))}
    assert first == second


def test_figures_are_files_of_their_own(report):
    folder = report.parent
    svg = ElementTree.fromstring((folder / "figures" / "curves-resnet50-native.svg").read_text())
    words = " ".join(svg.itertext())
    assert svg.tag.endswith("}svg")
    assert "var(" not in words
    assert all(
        word in words for word in ("Keras", "PyTorch", "epoch", "loss (cross-entropy, nats)", "fine-tune")
    )
    assert (folder / "figures" / "curves-resnet50-native.png").read_bytes().startswith(b"\x89PNG")


def test_the_curves_take_the_pages_colours(report):
    text = report.read_text()
    svg = text[text.index("<figure>") : text.index("</figure>")]
    assert "var(--ink)" in svg
    assert "var(--above)" in svg
    assert not re.findall(r"(?:fill|stroke): ?#(?!000000)\w{6}", svg)


def test_the_shading_says_which_is_above(tmp_path):
    def shades(name, gap):
        cells = make_cells(("frozen",), ("keras",), gap=gap)
        text = write_report(write_run(tmp_path / name, cells)).read_text()
        svg = text[
            text.index('id="curves-resnet50-native-axes_1"') : text.index(
                'id="curves-resnet50-native-legend_1"'
            )
        ]
        return {colour for colour in ("above", "below") if f"fill: var(--{colour})" in svg}

    assert shades("up", (0.2, -0.1)) == {"above"}
    assert shades("down", (-0.2, 0.1)) == {"below"}


def test_the_terms_are_shown_with_their_sum(tmp_path):
    (cell,) = make_cells(("fine-tune",), ("keras",), epochs=1)
    (row,) = cell["history"]
    for metric, gap in (("loss", 0.7), ("accuracy", -0.05)):
        row["evaluate"][metric] = row["fit"][metric] + gap
    planted = {"weights-moved": -0.125, "dropout": -0.25, "batch-noise": 0.0625, "moving-statistics": 1.0125}
    terms = {name: (value, value / -14) for name, value in planted.items()}
    cell["explanations"] = [make_explanation(row, "best and last", policy="fine-tune", terms=terms)]
    text = page_of(write_run(tmp_path, [cell])).text
    figures = "−0.125 (0.001) +0.9 −0.250 (0.001) +1.8 +0.062 (0.001) −0.4 +1.012 (0.001) −7.2 +0.700 −5.0"
    assert f"fine-tune Keras 1 {figures}" in text


def test_the_drift_is_shown_before_and_after_by_layer_and_by_stage(report):
    words = " ".join(
        ElementTree.parse(report.parent / "figures/drift-resnet50-native.svg").getroot().itertext()
    )
    for row in (
        "fine-tune · Keras · epoch 5",
        "fine-tune · Keras · epoch 8",
        "conv5",
        "means, off by standard",
    ):
        assert row in words
    assert "frozen · Keras" not in words
    text = Page(report.read_text()).text
    assert "conv5_block3_3_bn 224 299" in text
    assert "conv5_block3_3_bn never updated" in text


def test_every_bn_layer_has_its_column_in_the_heat_map(report):
    (group,) = groups(CONFIG, make_cells())
    rows = _rows(group)
    image = _panel(Figure().add_subplot(), [explained.layers for explained in rows.values()], "mean_drift")
    values = image.get_array()
    assert values.shape == (16, 53)
    last = list(rows).index("fine-tune · Keras · epoch 8")
    assert values[last, 52] == pytest.approx(rows["fine-tune · Keras · epoch 8"].layers[52]["mean_drift"])


def test_the_bars_end_at_the_gap():
    (group,) = groups(CONFIG, make_cells(("fine-tune", "frozen"), ("keras",)))
    (axes,) = bars(group.rows, group.frameworks).axes
    for place, policy in enumerate(group.rows):
        own = [bar for bar in axes.patches if abs(bar.get_y() + 0.15 - place) < 0.3]
        gap = group.rows[policy]["keras"].gap()
        assert sum(bar.get_width() for bar in own) == pytest.approx(gap)
        rises = [bar for bar in own if bar.get_width() > 0]
        falls = [bar for bar in own if bar.get_width() < 0]
        lowest = min(bar.get_x() + bar.get_width() for bar in falls)
        end = max((bar.get_x() + bar.get_width() for bar in rises), default=lowest)
        assert end == pytest.approx(gap)


def test_the_cures_are_shown_side_by_side_for_the_frameworks_that_need_them(report):
    text = Page(report.read_text()).text
    assert (
        "To freeze BN in inference mode for frozen-batch-stats (Keras and PyTorch) and frozen-drifting (Keras)"
        in text
    )
    assert "To lower BN's decay to 0.9 for fine-tune (Keras) Keras for layer" in text
    code = Page(report.read_text()).code
    assert "        layer.trainable = False  # then compile again" in code
    assert "module.momentum" not in code


def test_both_frameworks_code_of_each_policy_that_was_run_is_shown(report):
    text = Page(report.read_text()).code
    code = text[text.index("Code beside code") : text.index("Settings, versions")]
    assert "keras_impl/bn_policy.pydef apply(model, policy):\n    for layer in leaves(model):" in code
    assert "torch_impl/bn_policy.pydef apply(model, policy):\n    model.bn_policy = policy" in code
    assert "bn-trainable the Stack Overflow answer" in code
    assert "AdaBN" not in code


def test_several_seeds_have_intervals_and_tests_and_one_seed_says_why_not(tmp_path, report):
    one = Page(report.read_text()).text
    assert "One seed a cell: nothing here says what is chance." in one
    assert "±" not in one
    assert "p by Holm" not in one
    many = page_of(make_run(tmp_path / "run", policies=("frozen", "fine-tune"), seeds=3)).text
    assert re.search(r"fine-tune Keras PyTorch \+0\.\d{3} ± 0\.\d{3} 3 (0\.0|< 0\.001)", many)
    assert re.search(r"Keras frozen fine-tune −0\.\d{3} ± 0\.\d{3} 3 ", many)
    assert "One seed" not in many


def test_a_run_without_explanations_is_rendered_and_says_so(tmp_path):
    text = page_of(make_run(tmp_path / "run", policies=("fine-tune",), explained=False)).text
    assert "No cell of this run has explanations." in text
    assert "gap in Keras: the moving statistics lag behind (decay 0.99)" in text


def test_figures_have_words_for_those_who_cannot_see_them(report):
    pictures = re.findall(r'role="img" aria-label="([^"]*)"', report.read_text())
    assert [words.split(",")[0] for words in pictures] == [
        "Loss over epochs",
        "The terms of the gap in loss",
        "Drift of the BN layers' moving statistics over the depth".replace("'", "&#39;"),
    ]
    assert all("ResNet50, native numerics" in words for words in pictures)


def test_a_spoilt_explanation_is_named_and_the_cell_rendered(tmp_path):
    cells = make_cells(("fine-tune",))
    del cells[0]["explanations"][1]["terms"]["loss"]["dropout"]
    folder = write_run(tmp_path / "run", cells)
    warning = (
        "cells/keras-fine-tune-native-seed0/cell.json has an explanation that can't be used: "
        "epoch 8: no term dropout"
    )
    assert load_run(folder).warnings == [warning]
    text = page_of(folder).text
    assert warning in text
    assert "gap in Keras: the moving statistics lag behind" in text
    assert "PyTorch: no gap" in text


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


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
    page = write_report(folder)
    measure = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    page.write_text(page.read_text().replace("</body>", measure))
    title = re.search(
        r"<title>(\d+)</title>",
        browse(page, f"--user-data-dir={tmp_path}", "--window-size=500,900", "--dump-dom"),
    )
    assert int(title[1]) <= 500


@pytest.mark.parametrize(
    "grid",
    [
        {"policies": ("frozen",), "frameworks": ("torch",), "epochs": 1},
        {"policies": tuple(POLICIES)},
        {"policies": ("frozen", "fine-tune"), "backbone": "vgg16", "seeds": 3},
        {"policies": ("frozen",), "seeds": 2, "failed": [("frozen", "keras", 0)]},
        {"policies": ("frozen",), "gap": (float("nan"), 0.0)},
        {"policies": ("frozen",), "gap": (0.0, 0.0)},
    ],
    ids=["one-cell", "twenty", "vgg16", "failed-seed", "nan", "no-gap"],
)
def test_runs_of_every_shape_are_rendered_small(tmp_path, grid):
    report = write_report(make_run(tmp_path / "run", **grid))
    assert 20_000 < report.stat().st_size < 3_000_000


def test_a_run_whose_cells_all_failed_before_an_epoch(tmp_path):
    (cell,) = make_cells(("frozen",), ("keras",))
    cell |= {"status": "failed: the worker died", "history": [], "fresh": {}}
    text = page_of(write_run(tmp_path, [cell])).text
    assert "failed: the worker died" in text
    assert "No cell finished" in text


def test_a_failed_cell_is_shown_with_its_reason_in_table_and_figure(tmp_path):
    folder = make_run(tmp_path / "run", policies=("fine-tune",), failed=[("fine-tune", "torch", 0)])
    text = Page(write_report(folder).read_text()).text
    assert text.count("failed: loss is not finite at epoch") == 2
    assert "PyTorch: failed" in text


def test_some_failed_seeds_are_told_apart_from_the_finished(tmp_path):
    folder = make_run(tmp_path / "run", policies=("frozen",), seeds=3, failed=[("frozen", "torch", 1)])
    text = page_of(folder).text
    assert "PyTorch: 1 of 3 seeds failed: loss is not finite at epoch 3, step 3" in text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"framework": "ker', "can't be read"),
        ("[]", "isn't one of this program's: not an object"),
        ('{"framework": "jax"}', "isn't one of this program's: framework is 'jax'"),
        (json.dumps(make_cell("frozen", "keras") | {"policy": ["x"]}), "policy is ['x']"),
        (json.dumps(make_cell("frozen", "keras") | {"history": [{"epoch": 1}]}), "an epoch without loss"),
        (json.dumps(make_cell("frozen", "keras") | {"history": []}), "finished without an epoch"),
        (json.dumps(make_cell("frozen", "keras") | {"seed": None}), "no seed or no status"),
    ],
)
def test_a_spoilt_cell_is_named_in_one_line_and_the_rest_rendered(tmp_path, text, problem):
    folder = make_run(tmp_path / "run", policies=("fine-tune",))
    spoil(folder, "keras-frozen-native-seed0", text)
    (warning,) = load_run(folder).warnings
    assert warning.startswith("cells/keras-frozen-native-seed0/cell.json ")
    assert problem in warning
    assert "\n" not in warning
    page = page_of(folder)
    assert warning in page.text
    assert "fine-tune" in page.text


def test_a_run_still_going_says_which_cells_have_no_result(tmp_path):
    cells = make_cells(("frozen", "features"), ("torch",))
    names = [f"torch-{policy}-native-seed0" for policy in ("frozen", "features", "fine-tune")]
    folder = write_run(tmp_path, cells, CONFIG | {"cells": names})
    (folder / "cells" / "torch-adapted-native-seed0").mkdir()
    cells_left = "2 of 4 cells have no result yet: torch-adapted-native-seed0, torch-fine-tune-native-seed0"
    assert load_run(folder).warnings == [f"the run isn't finished: {cells_left}"]
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert load_run(folder).warnings == [f"the run is still going: {cells_left}"]
    assert load_run(folder).warnings == [f"the run isn't finished: {cells_left}"]


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_a_run_without_a_configuration_is_rendered(tmp_path, text):
    folder = make_run(tmp_path / "run", policies=("frozen",))
    (folder / "config.json").unlink()
    if text is not None:
        (folder / "config.json").write_text(text)
    assert "config.json" in load_run(folder).warnings[0]
    assert "frozen" in page_of(folder).text


def test_a_configuration_of_another_form_is_shown_as_it_is(tmp_path):
    config = {"settings": "x", "weights": 3, "data": [None], "cells": 7, "versions": {"keras": {"a": [1]}}}
    folder = make_run(tmp_path / "run", config, policies=("frozen",))
    assert load_run(folder).warnings == []
    text = page_of(folder).text
    assert "weights 3" in text
    assert 'keras {"a": [1]}' in text


def test_a_report_that_cannot_be_put_in_place_leaves_nothing_half_written(tmp_path):
    folder = make_run(tmp_path / "run", policies=("frozen",))
    (folder / "report.html" / "taken").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_report(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells",
        "config.json",
        "figures",
        "report.html",
    ]


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")]
)
def test_what_is_no_run_is_refused_in_one_line(tmp_path, make):
    path = tmp_path / "nothing"
    make(path)
    with pytest.raises(
        InputError, match=r"run directory '.*nothing' (doesn't exist|holds no cell)"
    ) as refusal:
        write_report(path)
    assert "\n" not in str(refusal.value)


def test_no_framework_is_imported(tmp_path):
    folder = make_run(tmp_path / "run", policies=("frozen",))
    program = (
        "import sys; from compare.report.page import write_report; write_report(sys.argv[1]);"
        "sys.exit(bool({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program, str(folder)], cwd=root, check=False).returncode == 0
