"""A diagnosis as people see it."""

import json
import re
from dataclasses import fields, replace

import pytest

from compare.diagnosis.records import CAUSES, Audit, Cure, Finding, Probes
from compare.diagnosis.show import words
from compare.diagnosis.show.text import narrow
from compare.words import plain
from tests.diagnosis.made import AUDIT, LONG, broken, healthy, made, norm
from tests.support.report_pages import Page

NASTY = "<script>alert('&')</script>"


def test_the_answer_is_the_first_sentence_with_its_share_of_the_gap():
    answer = plain(words.answer(made()))
    assert answer.startswith("Harmful: the moving statistics that evaluation normalises with")
    assert "+1.43 of the gap of +1.50" in answer
    assert answer in " ".join(str(made()).split())


def test_a_healthy_model_gets_one_sentence():
    answer = plain(words.answer(healthy()))
    assert answer.startswith("Nothing harmful: nothing in this model acts differently")
    assert answer.count(". ") == 0


def test_a_large_part_without_an_explanation_is_said_in_the_answer():
    terms = (replace(made().terms[0], term="unexplained", value=0.9),)
    assert "+0.90 of the gap is unexplained" in plain(words.answer(made(terms=terms)))
    assert "unexplained" not in plain(words.answer(made()))


def test_every_cause_and_every_probe_has_words():
    assert set(words.IS) == set(CAUSES)
    assert set(words.PROBES) == {field.name for field in fields(Probes)}


@pytest.mark.parametrize("make", [made, healthy, broken])
def test_it_fits_80_columns(make):
    text = str(make())
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_findings_terms_layers_probes_and_what_was_given_are_there():
    text = str(made())
    for part in (
        "1. stale statistics: harmful, +1.43 in loss",
        "2. dropout: harmless, -0.080 in loss",
        'if hasattr(module, "running_mean"):',
        "-0.080 ± 0.02",
        "the gap               +1.50",
        "layer1.bn ... (3)",
        "a sample's outputs alone and in its batch: differs",
        "data: DataLoader, 512 samples in 16 batches of 32",
        "No batch size was given",
    ):
        assert part in text


def test_a_long_path_keeps_its_end():
    audit = Audit("torch", "Net", (norm(LONG),))
    assert "normalisation.batch_norm" in str(audit)
    assert LONG not in str(audit).split("Layers")[1].split("BatchNorm2d")[0]


def test_layers_that_differ_stand_apart():
    rows = (
        norm("a"),
        norm("b", evaluate="batch"),
        norm("c"),
        norm("d", notes=("d: training=True is baked in",)),
    )
    assert [[row.layer for row in group] for group in words.groups(rows)] == [["a", "c"], ["b"], ["d"]]


def test_code_that_fits_stays_as_it_is_and_runs_all_the_same():
    assert narrow("a = 1  # short") == "a = 1  # short"
    long = "if True:\n    a = 1  # " + "word " * 20
    assert narrow(long).splitlines()[1].startswith("    # word")
    names = {}
    exec(narrow(long), names)
    assert names["a"] == 1


def test_a_mark_in_a_string_is_no_comment():
    line = f'name = "{"x" * 80}  # not a comment"'
    assert narrow(line) == line


@pytest.mark.parametrize("make", [made, healthy, broken])
def test_the_page_is_one_file_that_needs_nothing_else(make, tmp_path):
    path = make().to_html(tmp_path / "new" / "why.html")
    page = Page(path.read_text())
    assert [file.name for file in path.parent.iterdir()] == ["why.html"]
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert "script" not in page.tags
    assert "link" not in page.tags


def test_the_page_begins_with_the_answer_and_the_code_to_paste(tmp_path):
    page = Page(made().to_html(tmp_path / "why.html").read_text())
    places = [
        page.code.index(part)
        for part in (
            "Fit's loss is 0.2, evaluate's 1.7",
            "Harmful",
            "model.eval()",
            "Terms of the loss",
            "Findings",
        )
    ]
    places.append(page.code.index("Drift over depth"))
    assert places == sorted(places)
    for name in ("layer1.bn", LONG, "head.drop", "two evaluations", "DataLoader, 512", "No batch size"):
        assert name in page.code


def test_the_figures_of_terms_and_of_drift_are_drawn_in_the_page(tmp_path):
    text = made().to_html(tmp_path / "why.html").read_text()
    assert text.count("<svg") == 2
    assert "stale statistics +1.430" in text
    # one layer has no course over depth
    alone = made(audit=Audit("torch", "Net", (norm("bn"),)))
    assert alone.to_html(tmp_path / "one.html").read_text().count("<svg") == 1


def test_nothing_from_outside_is_taken_for_markup(tmp_path):
    finding = Finding("dropout", True, 1.0, (NASTY,), NASTY, Cure(NASTY, NASTY))
    audit = Audit("torch", NASTY, (norm(NASTY, kind=NASTY, notes=(NASTY,)), norm("a"), norm("b")))
    diagnosis = made(
        model=NASTY, findings=(finding, finding), audit=audit, notes=(NASTY,), given={NASTY: NASTY},
        measured={NASTY: 1.0}, terms=(replace(made().terms[0], term=NASTY),),
    )  # fmt: skip
    for text in (
        diagnosis.to_html(tmp_path / "a.html").read_text(),
        audit.to_html(tmp_path / "b.html").read_text(),
        diagnosis._repr_html_(),
        audit._repr_html_(),
    ):
        assert "<script" not in text
        assert "&lt;script&gt;" in text


def test_a_notebook_gets_a_part_of_a_page():
    text = made()._repr_html_()
    assert text.startswith('<div class="compare-diagnosis" style="--ink: #')
    assert not re.search("<(html|body|style|script)", text)
    assert "model.eval()" in Page(text).code


def test_a_notebook_gets_the_figures_of_the_page_and_nothing_from_elsewhere(tmp_path):
    text, page = made()._repr_html_(), made().to_html(tmp_path / "why.html").read_text()
    assert text.count("<svg") == page.count("<svg") == 2
    assert "stale statistics +1.430" in text
    assert all(address.startswith(("#", "data:")) for address in Page(text).addresses)
    # every colour of the page's that a figure takes is given along
    taken = set(re.findall(r"var\((--\w+)\)", text))
    assert taken
    assert taken <= set(re.findall(r"(--\w+): #", text))


def test_two_diagnoses_in_one_notebook_do_not_share_ids():
    ids = [
        set(re.findall(r' id="([^"]+)"', one._repr_html_()))
        for one in (made(), made(gap=1.25, model="Other"))
    ]
    figures = [{name for name in found if name.startswith(("terms", "drift"))} for found in ids]
    assert figures[0]
    assert all("-" in name for name in figures[0] - {"terms", "drift"})
    assert not (figures[0] & figures[1]) - {"terms", "drift"}


def test_an_audit_shows_itself():
    text = str(AUDIT)
    # a diagnosis shows its own audit with the same words, and that had data
    assert text.splitlines()[0] == "Net (PyTorch): what its layers do"
    assert "head.drop" in text
    assert "none normalises" in str(Audit("torch", "Net", ()))
    assert "Nothing harmful" in AUDIT._repr_html_()


def test_json_holds_what_was_given():
    said = json.loads(json.dumps(made().to_json()))
    assert said["given"]["reported"] == "loss 0.2, evaluate_loss 1.7"
    assert said["audit"][0]["variance_drift"] == 0.7
