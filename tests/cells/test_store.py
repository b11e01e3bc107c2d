import csv
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from compare.cells import store, tables
from compare.cells.grid import grid
from compare.cells.settings import Settings
from compare.cells.work import Timing
from compare.files import sha256
from compare.gap.records import Status
from compare.spec import InputError
from tests.support.synthetic_run import make_result

CELLS = grid("resnet50", ("keras", "torch"), ("frozen", "fine-tune"), ("native",), 1, 32).cells
CONFIG = {
    "policies": ["frozen", "fine-tune"],
    "settings": Settings(epochs=2).as_dict(),
    "machine": {"platform": "here", "cores": 2, "threads": 1},
}
TIMING = Timing(worker=7, started="2026-01-02T03:04:05", seconds=1.5, peak_memory_mb=300)
NOT_FINITE = {
    "status": Status.NOT_FINITE,
    "reason": "loss is not finite at epoch 1, step 1",
    "history": (),
    "fresh": {},
    "explanations": (),
}


def weights(path):
    path.write_bytes(b"weights")
    return {"source": "test"}


def create(out, prepare=weights):
    return store.create(out, CONFIG, CELLS, prepare)


def result(cell, **changes):
    return replace(make_result(cell.policy, cell.framework, epochs=2), **changes)


def end(run, cell, **changes):
    run.start(cell)
    run.end(cell, result(cell, **changes), TIMING)


def test_a_new_run_holds_its_configuration_and_weights(tmp_path):
    with create(tmp_path / "runs" / "a") as run:
        assert run.unfinished == CELLS
    config = json.loads((tmp_path / "runs/a/config.json").read_text())
    assert config["settings"]["epochs"] == 2
    assert config["weights"] == {
        "source": "test",
        "sha256": sha256(tmp_path / "runs/a/weights.safetensors"),
    }


def test_finished_cells_are_known_again_and_unfinished_ones_leave_nothing(tmp_path):
    with create(tmp_path / "a") as run:
        end(run, CELLS[2])
        end(run, CELLS[1], status=Status.FAILED, reason="ValueError: no")
        end(run, CELLS[3], **NOT_FINITE)
        (run.start(CELLS[0]) / "half").write_bytes(b"half")
    with store.reopen(tmp_path / "a", CONFIG, CELLS) as run:
        assert run.unfinished == [CELLS[0], CELLS[1]]
        assert list(run.start(CELLS[0]).iterdir()) == []
        assert list(run.start(CELLS[1]).iterdir()) == []
        run.write_tables()
    with (tmp_path / "a/results.csv").open() as file:
        assert [(row["framework"], row["policy"]) for row in csv.DictReader(file)] == [
            ("torch", "frozen"),
            ("torch", "fine-tune"),
        ]


def test_the_order_of_ending_does_not_show_in_the_tables(tmp_path):
    for name, order in (("a", CELLS), ("b", CELLS[::-1])):
        with create(tmp_path / name) as run:
            for cell in order:
                end(run, cell)
    for file in ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv", "timing.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_results_are_of_the_last_epoch_and_gaps_are_evaluate_minus_fit():
    cell = result(CELLS[1])
    first, last = cell.history
    (row,) = csv.DictReader(tables.results([cell]).splitlines())
    assert tuple(row) == tables.RESULTS
    assert row["fit_loss"] == format(last.fit["loss"], ".9g")
    assert row["val_accuracy"] == format(last.val["accuracy"], ".9g")
    gaps = [epoch.evaluate["loss"] - epoch.fit["loss"] for epoch in (first, last)]
    assert float(row["gap_loss"]) == pytest.approx(gaps[1], abs=1e-9)
    assert float(row["mean_gap_loss"]) == pytest.approx(sum(gaps) / 2, abs=1e-9)
    assert float(row["mean_gap_accuracy"]) != pytest.approx(float(row["gap_accuracy"]), abs=1e-6)
    assert (row["fresh_loss"], row["status"], row["best_epoch"]) == ("0.5", "finished", "1")


def test_a_cell_without_an_epoch_has_a_row_and_no_history():
    cell = result(CELLS[0], **NOT_FINITE, epochs=0)
    (row,) = csv.DictReader(tables.results([cell]).splitlines())
    assert (row["fit_loss"], row["gap_loss"], row["fresh_accuracy"], row["epochs"]) == ("", "", "", "0")
    assert row["status"].startswith("failed: loss")
    (header,) = tables.history([cell]).splitlines()
    assert header.startswith(
        "framework,backbone,policy,numerics,seed,epoch,learning_rate,fit_loss,fit_cross_entropy,"
    )
    assert header.endswith(",val_prc")
    assert header.count(",") + 1 == len(tables.EPOCH) + 3 * len(tables.FIGURES)


def test_history_has_a_row_an_epoch_with_all_metrics():
    rows = list(csv.DictReader(tables.history([result(CELLS[0])]).splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert len(rows[0]) == 7 + 3 * 12
    assert rows[1]["evaluate_brier_score"] == "0.5"


def test_what_differs_from_run_to_run_stands_in_timing_alone(tmp_path):
    with create(tmp_path / "a") as run:
        end(run, CELLS[0])
    (row,) = csv.DictReader((tmp_path / "a/timing.csv").read_text().splitlines())
    assert row == {"cell": CELLS[0].name, **{name: str(value) for name, value in asdict(TIMING).items()}}


def test_another_process_writing_the_run_is_refused_and_a_dead_one_is_not(tmp_path):
    script = f"""
import sys
from pathlib import Path
from compare.cells import store
store.create(Path({str(tmp_path / "a")!r}), {CONFIG!r}, [], lambda p: p.write_bytes(b"weights") and {{}})
print("open", flush=True)
sys.stdin.read()
"""
    root = os.path.dirname(os.path.dirname(__file__))
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(InputError, match="another process is writing"):
            store.reopen(tmp_path / "a", CONFIG, [])
        other.kill()
        other.wait()
    store.reopen(tmp_path / "a", CONFIG, []).__exit__()


def test_what_is_there_already_is_not_written_over(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "weights.safetensors").write_bytes(b"mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "config.json").write_text('{"model_type": "mine"}')
    for name in ("other", "file", "json"):
        with pytest.raises(InputError, match=f"{name} holds something else than a run"):
            create(tmp_path / name)
    assert (tmp_path / "other" / "weights.safetensors").read_bytes() == b"mine"
    assert os.listdir(tmp_path / "other") == ["weights.safetensors"]
    create(tmp_path / "run").__exit__()
    with pytest.raises(InputError, match=r"run holds a run: --resume goes on with it, or give another --out"):
        create(tmp_path / "run")
    with pytest.raises(InputError, match="there is no run in"):
        store.reopen(tmp_path / "nothing", CONFIG, CELLS)


def test_a_run_killed_before_it_had_a_configuration_is_begun_anew(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / "weights.safetensors").write_bytes(b"half")
    with create(tmp_path) as run:
        assert run.unfinished == CELLS
    assert (tmp_path / "weights.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("there", [True, False])
def test_a_run_that_cannot_begin_leaves_things_as_they_were(tmp_path, there):
    out = tmp_path / "runs" / "a"
    if there:
        out.mkdir(parents=True)

    def prepare(path):
        path.write_bytes(b"half")
        raise InputError("no network")

    with pytest.raises(InputError, match="no network"):
        create(out, prepare)
    assert sorted(tmp_path.rglob("*")) == ([tmp_path / "runs", out] if there else [])


def test_other_settings_are_shown(tmp_path):
    create(tmp_path / "a").__exit__()
    settings = CONFIG["settings"] | {"epochs": 4, "weights": "random"}
    machine = {"platform": "elsewhere", "cores": 8, "threads": 2}
    changed = CONFIG | {
        "settings": settings,
        "policies": ["frozen"],
        "machine": machine,
        "command": "compare",
    }
    with pytest.raises(InputError) as caught:
        store.reopen(tmp_path / "a", changed, CELLS)
    assert str(caught.value) == (
        f"--resume with other settings than {tmp_path / 'a'} has: "
        "policies: was frozen, fine-tune, now frozen; "
        "weights: was pretext, now random; epochs: was 2, now 4; machine.threads: was 1, now 2"
    )


def test_weights_that_changed_meanwhile_are_refused(tmp_path):
    create(tmp_path / "a").__exit__()
    (tmp_path / "a/weights.safetensors").write_bytes(b"others")
    with pytest.raises(InputError, match=r"weights\.safetensors isn't the file that the run began with"):
        store.reopen(tmp_path / "a", CONFIG, CELLS)


def test_the_next_free_directory_comes_after_the_highest_number(tmp_path):
    assert store.next_free("resnet50", tmp_path) == tmp_path / "resnet50-1"
    for name in ("resnet50-1", "resnet50-10", "vgg16-11", "resnet50-mine"):
        (tmp_path / name).mkdir()
    assert store.next_free("resnet50", tmp_path) == tmp_path / "resnet50-11"


def test_tables_are_made_again_at_once_or_soon_and_lack_nothing_at_the_end(tmp_path, monkeypatch):
    """What they take is a small share of the time, however many cells there are."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(store, "time", SimpleNamespace(monotonic=lambda: clock.now))
    made = store.Store.write_tables

    def write_tables(run):
        clock.now += 1  # second that it takes
        made(run)

    monkeypatch.setattr(store.Store, "write_tables", write_tables)

    def rows():
        return (tmp_path / "a/results.csv").read_text().count("finished")

    with create(tmp_path / "a") as run:
        for cell, there in zip(CELLS[:3], (1, 1, 1), strict=True):
            end(run, cell)
            assert rows() == there
        clock.now += 1 / store.TABLES_SHARE
        run.refresh()
        assert rows() == 3
        end(run, CELLS[3])
        assert rows() == 3
    assert rows() == 4
