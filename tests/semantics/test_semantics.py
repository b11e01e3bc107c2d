"""`compare semantics`: the page, the records, the explanations and the command, with no framework in this process."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from compare.gap.observed import Rule
from compare.gap.reading import RecordError
from compare.semantics import measuring, terminal
from compare.semantics.page import chapter
from compare.semantics.record import RECORDS as FOLDER
from compare.semantics.record import Record, differences, find, read, releases
from compare.semantics.row import read_row
from compare.semantics.surprises import SURPRISES, surprises
from compare.semantics.timeline import FROZEN, timeline
from compare.semantics.words import gap, policy, sentences
from tests.support import fake_benches
from tests.support.recorded import of_framework

ROOT = Path(__file__).parents[2]
RECORDS = [read(name) for name in releases()]
ROWS = [(record.release, row) for record in RECORDS for row in record.rows]
FACTS = {
    "fit": {"batch", "moving", "neither", "raises"},
    "updates": {True, False},
    "gamma_beta_gradient": {True, False},
    "gamma_beta_change": {True, False},
    "evaluate": {"batch", "moving", "neither", "raises"},
}


def test_the_page_is_what_the_records_say():
    assert (ROOT / "docs" / "semantics.md").read_text() == chapter()


def test_the_page_shows_the_code_of_every_row():
    page = chapter()
    assert all(row.code.strip() in page for _, row in ROWS)


@pytest.mark.parametrize(("release", "row"), ROWS, ids=str)
def test_a_row_has_every_fact(release, row):
    assert row.code
    if row.does is None:
        assert row.epoch_loss
        return
    for fact, values in FACTS.items():
        assert getattr(row.does, fact) in values
    assert (row.does.rule is not None) == row.does.updates
    assert set(row.does.survives) in ({"compile", "fit", "save_load"}, {"train()", "save_load"})


@pytest.mark.parametrize("release", releases())
def test_a_row_comes_back_from_json_as_it_was(release):
    raw = json.loads((FOLDER / f"{release}.json").read_text())["rows"]
    for found, row in zip(raw, read(release).rows, strict=True):
        facts = found["facts"] and {"evaluate_updates": False, **found["facts"]}
        assert row.as_dict() == {**found, "facts": facts}
        assert read_row(row.as_dict()) == row


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spelling": 7}, "spelling is 7"),
        ({"facts": {"fit": "batch"}}, "does.updates is None"),
        ({"code": None}, "code is None"),
    ],
)
def test_a_row_of_another_form_is_refused_in_a_line(change, words):
    row = read("keras-2.1.3").rows[0].as_dict()
    with pytest.raises(RecordError, match=words):
        read_row(row | change)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.release)
def test_a_record_says_what_ran_and_when(record):
    assert record.packages["python"]
    assert record.date >= "2026"
    assert record.how == f"recorded {record.date}"
    assert FROZEN[record.side] in [row.spelling for row in record.rows]


@pytest.mark.parametrize("side", ["keras", "torch"])
def test_the_code_shown_is_the_code_run(side):
    tree = ast.parse((ROOT / "compare" / "semantics" / f"{side}_spellings.py").read_text())
    run = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for row in of_framework(side).rows:
        shown = ast.parse(row.code).body[-1]
        source = run[shown.name]
        source.decorator_list, source.body = [], source.body[1:]
        assert ast.dump(shown) == ast.dump(source), row.spelling


def test_every_known_surprise_is_in_the_records_with_what_is_surprising():
    found = [(record.release, row.spelling, row) for record, row, _ in surprises(RECORDS)]
    assert len(found) == len(SURPRISES)
    by_name = {(release.rpartition("-")[0], name): row.does for release, name, row in found}
    overridden = by_name["keras", "base(x, training=False)"]
    assert (overridden.fit, overridden.updates) == ("batch", True)
    relapse = by_name["torch", "bn.eval(), then model.train()"]
    assert (relapse.fit, relapse.updates) == ("batch", True)
    later = by_name["torch", "bn.track_running_stats = False, set later"]
    assert (later.fit, later.updates, later.evaluate) == ("batch", False, "moving")


@pytest.mark.parametrize(
    ("release", "spelling", "fit", "updates"),
    [
        ("keras-2.0.0", "layer(x, training=False)", "batch", False),
        ("keras-2.0.9", "layer(x, training=False)", "moving", False),
        ("keras-2.1.2", "layer.trainable = False", "batch", True),
        ("keras-2.1.3", "layer.trainable = False", "batch", False),
        ("keras-2.3.1", "layer.trainable = False", "batch", False),
        ("tf.keras-1.15", "layer.trainable = False", "batch", False),
        ("tf.keras-2.0", "layer.trainable = False", "moving", False),
        ("tf-keras-2.21", "layer.trainable = False", "moving", False),
    ],
)
def test_what_the_releases_are_known_for(release, spelling, fit, updates):
    does = read(release).row(spelling).does
    assert (does.fit, does.updates) == (fit, updates)


@pytest.mark.parametrize(
    ("release", "variance", "zero_debiased"),
    [
        ("keras-2.1.2", "biased", False),
        ("keras-2.1.3", "unbiased", True),
        ("keras-2.1.6", "doubly corrected", True),
        ("keras-2.2.4", "doubly corrected", True),
        ("keras-2.3.1", "doubly corrected", False),
        ("tf.keras-2.0", "unbiased", False),
    ],
)
def test_the_releases_rules(release, variance, zero_debiased):
    rule = read(release).row("BatchNormalization()").does.rule
    assert rule == Rule(0.99, variance, zero_debiased)


def test_the_epoch_of_2_3_1s_generator_is_its_last_batch():
    row = next(row for row in read("keras-2.3.1").rows if row.epoch_loss)
    assert row.epoch_loss["generator_evaluate"] == "the last batch's alone"
    assert row.epoch_loss["evaluate"] == "the samples' mean"


def test_the_time_line_has_three_meanings_in_keras_and_one_in_pytorch():
    told = [(p.when, p.does.fit, p.does.updates) for p in timeline(RECORDS)]
    assert told == [
        ("2017-02 to 2017-12", "batch", True),
        ("2018-01 to 2019-10", "batch", False),
        ("2019-09 to today", "moving", False),
        ("today", "batch", True),
    ]


@pytest.mark.parametrize(
    ("framework", "spelling", "policies", "gap_begins"),
    [
        ("keras", "layer.trainable = False", ["frozen", "fine-tune-bn-frozen"], "None from BN: fit and"),
        ("torch", "requires_grad_(False)", ["frozen-drifting"], "Until the moving statistics have caught up"),
        ("torch", "bn.track_running_stats = False, set later, and requires_grad_(False)",
         ["frozen-batch-stats"], "The large one, for good"),
        ("torch", "BatchNorm2d(momentum=None)", ["bn-trainable", "fine-tune"], "Small from the first steps"),
        ("keras", "BatchNormalization()", ["bn-trainable", "fine-tune"], "Until the moving statistics"),
        ("torch", "BatchNorm1d() on (1, C)", [], "None: there is no training"),
    ],
)  # fmt: skip
def test_policies_and_gaps(framework, spelling, policies, gap_begins):
    does = of_framework(framework).row(spelling).does
    found, but = policy(does)
    assert [p.name for p in found] == policies
    assert but == ""
    assert gap(does).startswith(gap_begins)


@pytest.mark.parametrize(("release", "row"), [pair for pair in ROWS if pair[1].does], ids=str)
def test_every_row_can_be_said(release, row):
    said = " ".join(sentences(row.does))
    assert said.startswith("Training normalises with")
    assert gap(row.does).endswith(".")


def test_differences_name_the_cell():
    record = of_framework("torch")
    row = record.rows[0]
    changed = replace(row, does=replace(row.does, fit="moving"))
    other = Record("torch-9.0", {}, "", [changed, *record.rows[2:]], measured=True)
    assert differences(record, other) == [
        "BatchNorm2d(): fit: was batch, is moving",
        "requires_grad_(False): not measured",
    ]


def test_a_spelling_is_found_by_a_part_of_its_name():
    assert find("relapse", [fake_benches.RECORD]) == "bn relapse"
    assert find("SyncBatchNorm.convert_sync_batchnorm", RECORDS) == "SyncBatchNorm.convert_sync_batchnorm"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.release)
def test_every_row_can_be_explained(record):
    console = Console(file=StringIO(), width=100)
    for row in record.rows:
        terminal.print_explanation(row.spelling, [record], RECORDS, console)
        assert all(terminal.explanation(record, row, RECORDS))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.release)
def test_a_table_fits_80_characters_and_breaks_no_word(record):
    printed = StringIO()
    terminal.print_records([record], [], Console(file=printed, width=80))
    text = printed.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    words = text.split()
    for row, does in terminal.layer_rows(record):
        assert all(word in words for word in row.spelling.split())
        assert all(word in words for cell in terminal.cells(does) for word in cell.split())
    assert text.count("not ") >= sum(
        "not" in terminal.cells(does)[4] for _, does in terminal.layer_rows(record)
    )


def test_a_wide_table_has_a_row_a_spelling():
    printed = StringIO()
    terminal.print_records([read("keras-2.2.4")], [], Console(file=printed, width=200))
    lines = [" ".join(line.split()) for line in printed.getvalue().splitlines()]
    assert "layer.trainable = False batch kept stay moving all" in lines


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_says_where_to_read_on(width):
    printed = StringIO()
    terminal.print_records([read("keras-2.2.4")], [], Console(file=printed, width=width))
    assert "compare semantics --explain" in printed.getvalue()


def test_nothing_here_imports_a_framework():
    names = "measuring, page, record, surprises, terminal, timeline, words"
    check = "import sys; print({'torch', 'keras', 'tensorflow'} & set(sys.modules))"
    code = f"from compare.cli import semantics; from compare.semantics import {names}; {check}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["keras-torch"])
def test_a_backend_does_what_was_recorded(framework):
    (fresh,) = measuring.measure([framework], 1)
    assert differences(of_framework(framework), fresh) == []
