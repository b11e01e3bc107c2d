import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from compare.report.html import write_report
from compare.report.summary import load_run
from compare.spec import POLICIES, InputError
from tests.synthetic_run import CONFIG, make_cell, make_cells, make_run, write_run

ATTACK = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The tags, ids, text and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.words = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

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
    page = page_of(folder)
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count(ATTACK) >= 6
    assert ATTACK.encode() not in (folder / "figures" / "curves-resnet50-native.svg").read_bytes()


def test_the_page_needs_nothing_from_outside(report):
    text = report.read_text()
    assert "http" not in text
    assert "@import" not in text
    assert not [url for url in re.findall(r"url\(([^)]*)\)", text) if not url.startswith("#")]
    assert all(address.startswith("#") for address in Page(text).addresses)


def test_ids_are_the_pages_own_and_every_reference_is_met(tmp_path):
    two = ("frozen", "fine-tune")
    folder = write_run(tmp_path, make_cells(two) + make_cells(two, numerics="matched"))
    text = write_report(folder).read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    referred = [address[1:] for address in page.addresses] + re.findall(r"url\(#([^)]*)\)", text)
    assert referred
    assert set(referred) <= set(page.ids)


def test_sections_come_in_their_order(report):
    page = Page(report.read_text())
    assert [name for name in page.ids if not name.startswith("curves-")] == [
        "answer",
        "table",
        "curves",
        "settings",
    ]


def test_the_table_shows_the_figures(tmp_path):
    cell = make_cell("fine-tune", "torch", epochs=2)
    for epoch, (fit, evaluate) in zip(cell["history"], ((0.5, 0.7), (0.4321, 0.6543)), strict=True):
        epoch["fit"] |= {"loss": fit, "accuracy": 0.75}
        epoch["evaluate"] |= {"loss": evaluate, "accuracy": 0.625}
    text = page_of(write_run(tmp_path, [cell])).text
    assert "0.432 → 0.654 75.0 → 62.5 %" in text
    assert "+0.222 −12.5 +0.211 −12.5" in text
    assert "gap: the moving statistics lag behind (decay 0.9), accuracy 12 points lower" in text


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
    assert sorted(first) == ["curves-resnet50-native.png", "curves-resnet50-native.svg", "report.html"]
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
    assert 20_000 < report.stat().st_size < 1_000_000


def test_a_run_whose_cells_all_failed_before_an_epoch(tmp_path):
    (cell,) = make_cells(("frozen",), ("keras",))
    cell |= {"status": "failed: the worker died", "history": [], "fresh": {}}
    text = page_of(write_run(tmp_path, [cell])).text
    assert "failed: the worker died" in text
    assert "No cell finished" in text


def test_a_failed_cell_is_shown_with_its_reason_in_table_and_figure(tmp_path):
    text = page_of(
        make_run(tmp_path / "run", policies=("fine-tune",), failed=[("fine-tune", "torch", 0)])
    ).text
    assert text.count("failed: loss is not finite at epoch") == 2
    assert "failed in PyTorch" in text


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
    assert load_run(folder).warnings == [
        "2 of 4 cells have no result (yet): torch-adapted-native-seed0, torch-fine-tune-native-seed0"
    ]


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_a_run_without_a_configuration_is_rendered(tmp_path, text):
    folder = make_run(tmp_path / "run", policies=("frozen",))
    (folder / "config.json").unlink()
    if text is not None:
        (folder / "config.json").write_text(text)
    assert "config.json" in load_run(folder).warnings[0]
    assert "frozen" in page_of(folder).text


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
        "import sys; from compare.report.html import write_report; write_report(sys.argv[1]);"
        "sys.exit(bool({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", program, str(folder)], cwd=root, check=False).returncode == 0
