"""The page: what it shows of a run."""

import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from compare.pages.figures.bars import bars
from compare.pages.figures.drift import panel
from compare.report import sections
from tests.support.judged import table_of
from tests.support.report_pages import Page, page_of, reported, spoil
from tests.support.synthetic_run import CONFIG, make_cell, make_cells, make_explanation, make_run, write_run

ATTACK = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a run with all the default policies in both frameworks."""
    return reported(make_run(tmp_path_factory.mktemp("default") / "run"))


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
    page = Page(reported(folder).read_text())
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
    text = reported(folder).read_text()
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
        "gap +0.22 in loss (accuracy 12 points lower), more than all of it (+0.29) from moving statistics that lag"
        " behind (decay 0.9)" in text
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
    first = {path.name: path.read_bytes() for path in [reported(folder), *(folder / "figures").iterdir()]}
    second = {path.name: path.read_bytes() for path in [reported(folder), *(folder / "figures").iterdir()]}
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
        text = reported(write_run(tmp_path / name, cells)).read_text()
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
    rows = {strip.name: strip.layers for strip in sections.strips(table_of(*make_cells()))}
    values = panel(Figure().add_subplot(), list(rows.values()), "mean_drift").get_array()
    assert values.shape == (16, 53)
    last = list(rows).index("fine-tune · Keras · epoch 8")
    assert values[last, 52] == pytest.approx(rows["fine-tune · Keras · epoch 8"][52].mean_drift)


def test_the_bars_end_at_the_gap():
    table = table_of(*make_cells(("fine-tune", "frozen"), ("keras",)))
    rows = {policy: {"Keras": sections.bar(row["keras"])} for policy, row in table.rows.items()}
    labels = sections.labels([entry for _, _, entry in table.entries])
    (axes,) = bars(rows, ["Keras"], labels).axes
    for place, policy in enumerate(table.rows):
        own = [bar for bar in axes.patches if abs(bar.get_y() + 0.15 - place) < 0.3]
        gap = table.rows[policy]["keras"].gap().mean
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
    assert (
        "Keras: gap +0.40 in loss (accuracy 12 points lower): the moving statistics lag behind (decay 0.99)"
        in text
    )


def test_figures_have_words_for_those_who_cannot_see_them(report):
    pictures = re.findall(r'role="img" aria-label="([^"]*)"', report.read_text())
    assert [words.split(",")[0] for words in pictures] == [
        "Loss over epochs",
        "The terms of the gap in loss",
        "Drift of the BN layers' moving statistics over the depth".replace("'", "&#39;"),
    ]
    assert all("ResNet50, native numerics" in words for words in pictures)


def test_matched_curves_are_not_said_to_be_the_same_where_the_backbone_trains(tmp_path):
    def said(policy, numerics):
        folder = make_run(tmp_path / f"{policy}-{numerics}", policies=(policy,), numerics=numerics)
        return "one rounding in float32 is enough" in page_of(folder).text

    assert said("fine-tune", "matched")
    assert not said("frozen", "matched")
    assert not said("fine-tune", "native")
