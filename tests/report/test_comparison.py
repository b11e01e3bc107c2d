import json
import re

import pytest

from compare.cli import app as cli
from compare.report.comparison import answer, changes, compare_runs, record
from compare.report.comparison_page import write_comparison
from compare.report.terminal import print_comparison
from tests.support.synthetic_run import CONFIG, make_cells, make_run, write_run
from tests.support.terminals import console_of

SETTINGS = CONFIG["settings"]


@pytest.fixture
def before(tmp_path):
    return make_run(tmp_path / "before", policies=("frozen", "fine-tune"), seeds=2)


@pytest.fixture
def after(tmp_path):
    """The same with a smaller step, and no gap in it."""
    config = CONFIG | {"settings": SETTINGS | {"learning_rate": 1e-4}}
    return make_run(tmp_path / "after", config, policies=("frozen", "fine-tune"), gap=(-0.07, 0.03))


def line_of(compared, policy, framework):
    (found,) = [line for line in compared.lines if (line.policy, line.framework) == (policy, framework)]
    return found


def test_a_line_holds_the_gap_of_each_run_in_their_order(before, after):
    compared = compare_runs([before, after])
    assert compared.names == ["before", "after"]
    line = line_of(compared, "fine-tune", "keras")
    assert line.gap(0).mean == pytest.approx(0.4, abs=0.1)
    assert line.gap(0).half > 0
    assert line.gap(1).mean == pytest.approx(-0.07, abs=0.03)
    assert line.gap(1).half is None
    assert (line.finding(0), line.finding(1)) == ("gap", "none")


def test_the_answer_says_what_closed_and_what_was_changed(before, after):
    closed, settings = answer(compare_runs([before, after]))
    assert re.match(
        r"before has a gap that after hasn't under fine-tune in Keras \(loss \+0\.\d\d, -0\.\d\d\)\.$", closed
    )
    assert settings == "Their settings differ in learning_rate: was None, now 0.0001."
    opened, _ = answer(compare_runs([after, before]))
    assert opened.startswith("before has a gap that after hasn't under fine-tune in Keras (loss -0.")


def test_a_gap_in_accuracy_alone_is_told_in_accuracy(tmp_path):
    worse = make_run(tmp_path / "worse", policies=("fine-tune",), frameworks=("keras",), gap=(-0.09, -0.1))
    calm = make_run(tmp_path / "calm", policies=("fine-tune",), frameworks=("keras",), gap=(-0.09, 0.03))
    closed, _ = answer(compare_runs([worse, calm]))
    assert re.search(r"worse has a gap .* \(accuracy -\d+ points, \+3 points\)\.$", closed)


def test_what_is_coloured_is_the_metric_that_the_gap_is_in(tmp_path):
    worse = make_run(tmp_path / "worse", policies=("fine-tune",), frameworks=("keras",), gap=(-0.09, -0.1))
    compared = compare_runs([worse, worse])
    (line,) = compared.lines
    assert (line.finding(0), line.gap_in(0)) == ("gap", "accuracy")
    console, text = console_of(colour=True)
    print_comparison(compared, console)
    assert re.search(r"-0\.\d\d  \x1b\[1;31m-\d+\x1b", text())
    page = write_comparison(compared, tmp_path / "out").read_text()
    assert re.search(r'class="level">\s*\u22120\.\d+\s*</span><br><span class="above">\s*\u2212\d', page)


def test_runs_that_agree_say_so(before):
    shared, settings = answer(compare_runs([before, before]))
    assert shared.startswith("Both have one under fine-tune in Keras (loss +0.")
    assert settings == "They have the same settings."


def test_where_nothing_finished_in_both_the_answer_says_that(before, tmp_path):
    other = make_run(tmp_path / "other", policies=("adapted",))
    assert answer(compare_runs([before, other]))[0] == "No policy finished in both before and other."
    calm = make_run(tmp_path / "calm", policies=("frozen",))
    assert answer(compare_runs([calm, calm]))[0].startswith("Neither ")


def test_a_backbone_without_bn_stands_beside_each_policy_that_is_one_training_there(before, tmp_path):
    vgg = make_run(tmp_path / "vgg", policies=("frozen", "fine-tune"), backbone="vgg16", gap=(-0.05, 0.0))
    resnet = make_run(tmp_path / "resnet", policies=("frozen-batch-stats", "bn-trainable", "fine-tune"))
    compared = compare_runs([resnet, vgg])
    (row,) = [
        row
        for row in record(compared)
        if (row["policy"], row["framework"]) == ("frozen-batch-stats", "torch")
    ]
    assert row["runs"][0]["finding"] == "gap"
    assert row["runs"][1]["finding"] == "none"
    frozen = line_of(compare_runs([vgg]), "frozen", "torch")
    assert row["runs"][1]["gap"]["loss"] == frozen.gap(0).mean


def test_runs_of_the_same_name_are_told_apart(tmp_path):
    folders = [make_run(tmp_path / part / "run", policies=("frozen",)) for part in "ab"]
    assert compare_runs(folders).names == [str(folder) for folder in folders]
    assert compare_runs([folders[0]] * 2).names == [f"{folders[0]} (1)", f"{folders[0]} (2)"]


def test_what_a_run_has_not_got_is_said_and_a_failure_has_its_reason(before, tmp_path):
    cells = make_cells(("frozen", "features"), ("keras",), failed=[("frozen", "keras", 0)])
    page = write_comparison(compare_runs([before, write_run(tmp_path / "b", cells)]), tmp_path / "out")
    text = page.read_text()
    assert "failed: loss is not finite at epoch 3, step 3" in text
    assert "not run" in text


def test_the_page_shows_each_gap_and_every_change_and_is_escaped(before, after, tmp_path):
    attack = "<script>alert(1)</script>"
    config = json.loads((after / "config.json").read_text())
    (after / "config.json").write_text(json.dumps(config | {"command": attack, "merged": attack}))
    compared = compare_runs([before, after])
    page = write_comparison(compared, tmp_path / "out" / "deep")
    text = page.read_text()
    assert "<script" not in text
    assert "http" not in text
    gap = line_of(compared, "fine-tune", "keras").gap(0)
    assert f"+{gap.mean:.3f}" in text
    assert f"± {gap.half:.3f}" in text
    assert all(change.name in text for change in changes(compared))
    assert sorted(path.name for path in (page.parent / "figures").iterdir()) == ["terms.png", "terms.svg"]
    assert page.stat().st_size < 3_000_000


def test_numerics_are_compared_with_their_own_kind(tmp_path):
    both = write_run(tmp_path / "both", make_cells(("frozen",)) + make_cells(("frozen",), numerics="matched"))
    compared = compare_runs([both, make_run(tmp_path / "native", policies=("frozen",))])
    found = {(line.framework, line.numerics): line.entries[1] is None for line in compared.lines}
    assert found == {
        ("keras", "native"): False,
        ("torch", "native"): False,
        ("keras", "matched"): True,
        ("torch", "matched"): True,
    }


def test_the_command_compares(before, after, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "before", "after"]) == 0
    out = capsys.readouterr().out
    assert "before has a gap that after hasn't" in " ".join(out.split())
    assert out.splitlines()[-1] == "report: comparison/report.html"
    assert (tmp_path / "comparison" / "report.html").is_file()
    assert cli.main(["report", "before", "after", "--out", "elsewhere"]) == 0
    assert (tmp_path / "elsewhere" / "figures" / "terms.svg").is_file()


def test_the_command_compares_as_json(before, after, capsys):
    assert cli.main(["report", str(before), str(after), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = [r for r in found["rows"] if (r["policy"], r["framework"]) == ("fine-tune", "keras")]
    assert [run["finding"] for run in row["runs"]] == ["gap", "none"]
    assert row["runs"][0]["gap"]["loss"] > 0.2
    assert found["warnings"] == []
