"""`compare semantics`: the page, the records, the explanations and the command, with no framework in this process."""

import ast
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from compare import frameworks
from compare.cli import app as cli
from compare.semantics import measuring, terminal
from compare.semantics.page import chapter
from compare.semantics.record import Record, differences, find, of_framework, read, releases
from compare.semantics.surprises import SURPRISES, surprises
from compare.semantics.timeline import FROZEN, timeline
from compare.semantics.words import gap, policy, sentences
from tests.support import fake_benches

ROOT = Path(__file__).parents[2]
RECORDS = [read(name) for name in releases()]
ROWS = [(record.release, row) for record in RECORDS for row in record.rows]
FACTS = {
    "fit": {"batch", "moving", "neither", "raises"},
    "updates": {"yes", "no"},
    "gamma_beta_gradient": {True, False},
    "gamma_beta_change": {True, False},
    "evaluate": {"batch", "moving", "neither", "raises"},
}


@pytest.fixture
def fake(monkeypatch):
    """Measure in processes that import no framework."""
    monkeypatch.setattr(frameworks, "find_spec", lambda name: None if name == "jax" else name)
    fake, real = fake_benches.measured, measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda names, jobs, only=None: real(names, jobs, only, fake))


def test_the_page_is_what_the_records_say():
    assert (ROOT / "docs" / "semantics.md").read_text() == chapter()


def test_the_page_shows_the_code_of_every_row():
    page = chapter()
    assert all(row["code"].strip() in page for _, row in ROWS)


@pytest.mark.parametrize(("release", "row"), ROWS, ids=str)
def test_a_row_has_every_fact(release, row):
    assert row["code"]
    if row["facts"] is None:
        assert row["epoch_loss"]
        return
    for fact, values in FACTS.items():
        assert row["facts"][fact] in values
    assert (row["facts"]["rule"] is not None) == (row["facts"]["updates"] == "yes")
    assert set(row["facts"]["survives"]) in ({"compile", "fit", "save_load"}, {"train()", "save_load"})


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.release)
def test_a_record_says_what_ran_and_when(record):
    assert record.packages["python"]
    assert record.date >= "2026"
    assert record.how == f"recorded {record.date}"
    assert FROZEN[record.side] in [row["spelling"] for row in record.rows]


@pytest.mark.parametrize("side", ["keras", "torch"])
def test_the_code_shown_is_the_code_run(side):
    tree = ast.parse((ROOT / "compare" / "semantics" / f"{side}_spellings.py").read_text())
    run = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for row in of_framework(side).rows:
        shown = ast.parse(row["code"]).body[-1]
        source = run[shown.name]
        source.decorator_list, source.body = [], source.body[1:]
        assert ast.dump(shown) == ast.dump(source), row["spelling"]


def test_every_known_surprise_is_in_the_records_with_what_is_surprising():
    found = [(record.release, row["spelling"], row) for record, row, _ in surprises(RECORDS)]
    assert len(found) == len(SURPRISES)
    by_name = {(release.rpartition("-")[0], name): row["facts"] for release, name, row in found}
    overridden = by_name["keras", "base(x, training=False)"]
    assert (overridden["fit"], overridden["updates"]) == ("batch", "yes")
    relapse = by_name["torch", "bn.eval(), then model.train()"]
    assert (relapse["fit"], relapse["updates"]) == ("batch", "yes")
    later = by_name["torch", "bn.track_running_stats = False, set later"]
    assert (later["fit"], later["updates"], later["evaluate"]) == ("batch", "no", "moving")


@pytest.mark.parametrize(
    ("release", "spelling", "fit", "updates"),
    [
        ("keras-2.0.0", "layer(x, training=False)", "batch", "no"),
        ("keras-2.0.9", "layer(x, training=False)", "moving", "no"),
        ("keras-2.1.2", "layer.trainable = False", "batch", "yes"),
        ("keras-2.1.3", "layer.trainable = False", "batch", "no"),
        ("keras-2.3.1", "layer.trainable = False", "batch", "no"),
        ("tf.keras-1.15", "layer.trainable = False", "batch", "no"),
        ("tf.keras-2.0", "layer.trainable = False", "moving", "no"),
        ("tf-keras-2.21", "layer.trainable = False", "moving", "no"),
    ],
)
def test_what_the_releases_are_known_for(release, spelling, fit, updates):
    facts = read(release).row(spelling)["facts"]
    assert (facts["fit"], facts["updates"], facts["evaluate"]) == (fit, updates, facts["evaluate"])


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
    rule = read(release).row("BatchNormalization()")["facts"]["rule"]
    assert rule == {"decay": 0.99, "variance": variance, "zero_debiased": zero_debiased}


def test_the_epoch_of_2_3_1s_generator_is_its_last_batch():
    row = next(row for row in read("keras-2.3.1").rows if row.get("epoch_loss"))
    assert row["epoch_loss"]["generator_evaluate"] == "the last batch's alone"
    assert row["epoch_loss"]["evaluate"] == "the samples' mean"


def test_the_time_line_has_three_meanings_in_keras_and_one_in_pytorch():
    told = [(p.when, p.row["facts"]["fit"], p.row["facts"]["updates"]) for p in timeline(RECORDS)]
    assert told == [
        ("2017-02 to 2017-12", "batch", "yes"),
        ("2018-01 to 2019-10", "batch", "no"),
        ("2019-09 to today", "moving", "no"),
        ("today", "batch", "yes"),
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
    facts = of_framework(framework).row(spelling)["facts"]
    found, but = policy(facts)
    assert [p.name for p in found] == policies
    assert but == ""
    assert gap(facts).startswith(gap_begins)


@pytest.mark.parametrize(("release", "row"), [pair for pair in ROWS if pair[1]["facts"]], ids=str)
def test_every_row_can_be_said(release, row):
    said = " ".join(sentences(row["facts"]))
    assert said.startswith("Training normalises with")
    assert gap(row["facts"]).endswith(".")


def test_differences_name_the_cell():
    record = of_framework("torch")
    row = record.rows[0]
    changed = {**row, "facts": {**row["facts"], "fit": "moving"}}
    other = Record("torch-9.0", {}, "", [changed, *record.rows[2:]], measured=True)
    assert differences(record, other) == [
        "BatchNorm2d(): fit: was batch, is moving",
        "requires_grad_(False): not measured",
    ]


def test_a_spelling_is_found_by_a_part_of_its_name():
    assert find("relapse", [fake_benches.RECORD]) == "bn relapse"
    assert find("SyncBatchNorm.convert_sync_batchnorm", RECORDS) == "SyncBatchNorm.convert_sync_batchnorm"


def run(capsys, *arguments):
    code = cli.main(["semantics", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_measured_now_and_recorded_then_are_told_apart(fake, capsys):
    code, out, _ = run(capsys, "--framework", "torch", "--release", "keras-2.1.3", "--json")
    now, then = json.loads(out)
    assert code == 0
    assert (now["release"], now["how"]) == ("torch-9.0", "measured")
    assert (then["release"], then["how"]) == ("keras-2.1.3", "recorded")
    code, out, _ = run(capsys, "--framework", "torch", "--release", "keras-2.1.3")
    assert code == 0
    assert "PyTorch 9.0: measured now" in out
    assert "Keras 2.1.3: recorded 2026-" in out


def test_the_whole_table_is_of_everything_installed(fake, capsys):
    code, out, _ = run(capsys, "--json")
    assert code == 0
    assert [record["release"] for record in json.loads(out)] == ["keras-9.0", "keras-9.0-torch", "torch-9.0"]
    rows = [[row["spelling"] for row in record["rows"]] for record in json.loads(out)]
    assert rows == [fake_benches.TITLES] * 3


def test_a_table_says_where_this_version_differs_from_the_recorded(fake, capsys):
    _, out, _ = run(capsys, "--framework", "torch")
    assert "cells from PyTorch" in out
    assert "bn relapse: not recorded" in out


def test_files_are_written(fake, capsys, tmp_path):
    code, _, _ = run(capsys, "--framework", "torch", "--out", str(tmp_path / "new"))
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["semantics.md", "torch-9.0.json"]
    assert "## PyTorch 9.0: measured now" in (tmp_path / "new" / "semantics.md").read_text()


def test_an_explanation_says_what_a_row_leads_to(capsys):
    code, out, _ = run(capsys, "--explain", "layer.trainable = False", "--release", "keras-2.1.3")
    text = " ".join(out.split())
    assert code == 0
    assert "Keras 2.1.3: recorded" in text
    assert "bn.trainable = False" in text
    assert "Training normalises with the batch's own mean and variance. The moving statistics stay" in text
    assert "Gap: The large one, for good" in text
    assert "Policy: frozen-batch-stats" in text
    assert "In PyTorch: bn.requires_grad_(False); bn.track_running_stats = False" in text
    assert "bn.track_running_stats = False, set later, and requires_grad_(False)" in text
    assert "Keras 2.1.2 (recorded" in text


def test_an_explanation_as_json(fake, capsys):
    code, out, _ = run(capsys, "--explain", "requires_grad_(False)", "--framework", "torch", "--json")
    (found,) = json.loads(out)
    assert (code, found["release"], found["how"]) == (0, "torch-9.0", "measured")
    assert [row["spelling"] for row in found["rows"]] == ["requires_grad_(False)"]
    assert any(line.startswith("Gap: The large one") for line in found["said"])


def test_backends_that_do_the_same_are_said_once(fake, capsys):
    code, out, _ = run(capsys, "--explain", "layer.trainable = False")
    assert code == 0
    assert out.count("Gap:") == 1
    assert "The same in Keras 9.0 on PyTorch 9.0: measured now" in out


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.release)
def test_every_row_can_be_explained(record):
    console = Console(file=StringIO(), width=100)
    for row in record.rows:
        terminal.print_explanation(row["spelling"], [record], RECORDS, console)
        assert all(terminal.explanation(record, row, RECORDS))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.release)
def test_a_table_fits_80_characters(record):
    printed = StringIO()
    terminal.print_records([record], [], Console(file=printed, width=80))
    text = printed.getvalue()
    lost = [
        cells for row in record.rows if row["facts"] for cells in [terminal.cells(row)] if "not" in cells[4]
    ]
    assert text.count("not ") >= len(lost)
    assert all(word in text for cells in lost for word in cells[4].split())
    assert "…" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--release", "keras-2.2.0"], ["'keras-2.2.0' isn't recorded", "keras-2.2.4", "tools/legacy_keras"]),
        (["--framework", "keras-jax"], ["isn't installed", "there are keras, keras-torch, torch", "pip install jax"]),
        (["--framework", "caffe"], ["unknown framework 'caffe'", "keras-torch"]),
        (["--explain", "layer.trainable = Flase"], ["did you mean 'layer.trainable = False'"]),
        (["--explain", "layer.trainable = False", "--out", "x"], ["--out x", "no file"]),
        (["--explain", "trainable", "--release", "keras-2.1.3"], ["is part of", "layer.trainable = False"]),
    ],
)  # fmt: skip
def test_what_isnt_there_is_one_line(fake, capsys, arguments, words):
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(word in err for word in words), err


def test_nothing_here_imports_a_framework():
    names = "measuring, page, record, surprises, terminal, timeline, words"
    check = "import sys; print({'torch', 'keras', 'tensorflow'} & set(sys.modules))"
    code = f"from compare.cli import semantics; from compare.semantics import {names}; {check}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_worker_that_dies_is_said(fake):
    with pytest.raises(RuntimeError, match=r"the keras-torch worker died \(exit code 3\)"):
        measuring.measure(["keras-torch"], 1, "crash")


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["keras-torch"])
def test_a_backend_does_what_was_recorded(framework):
    (fresh,) = measuring.measure([framework], 1)
    assert differences(of_framework(framework), fresh) == []
