import errno
import json

import pytest

from compare.cells import schedule as engine
from compare.cells import store
from compare.cells.grid import grid
from compare.cells.settings import Settings
from compare.cells.work import Task
from compare.gap.events import Ended, EpochDone, Started, StepDone
from compare.spec import POLICIES, Cell
from tests.support import fake_cells
from tests.support.processes import left_running

SETTINGS = Settings(epochs=2)
TASK = Task(SETTINGS, start=None, data=None)  # fake cells look at neither
SMALL = ("frozen", "fine-tune")
TABLES = ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv")


def open_run(folder, policies=SMALL, seeds=1):
    """A new run with nothing in it but stand-ins for the weights."""
    cells = grid("resnet50", ("keras", "torch"), policies, ("native",), seeds, 32).cells

    def prepare(path):
        path.write_bytes(b"weights")
        return {"source": "test"}

    return store.create(folder, {"settings": SETTINGS.as_dict()}, cells, prepare)


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Fake cells, and what they note."""
    path = tmp_path / "log"
    fake_cells.install(monkeypatch.setattr)
    monkeypatch.setenv("FAKE_CELLS_LOG", str(path))
    return lambda: [line.split() for line in path.read_text().splitlines()]


@pytest.fixture
def misbehave(monkeypatch):
    return lambda **cells: monkeypatch.setenv("FAKE_CELLS", json.dumps(cells.pop("cells", cells)))


def run(opened, jobs=2):
    events = []
    with opened:
        engine.run_cells(opened, TASK, jobs, lambda cell, event: events.append((cell.name, event)))
    return events


def statuses(opened):
    return {f"{cell.framework}-{cell.policy}": cell.ending for cell in opened.ended}


def test_every_cell_ends_with_its_events_passed_on(tmp_path, log):
    opened = open_run(tmp_path / "run")
    events = run(opened)
    assert statuses(opened) == dict.fromkeys(
        ["keras-frozen", "keras-fine-tune", "torch-frozen", "torch-fine-tune"], "finished"
    )
    own = [event for name, event in events if name == "torch-frozen-native-seed0"]
    kinds = [Started, StepDone, EpochDone, StepDone, EpochDone, Ended]
    assert [type(event) for event in own] == kinds
    assert own[1].steps == 1
    assert own[-1].result == opened.results["torch-frozen-native-seed0"]
    best = tmp_path / "run/cells/torch-frozen-native-seed0/best.safetensors"
    assert best.read_bytes() == b"best of torch-frozen-native-seed0"


def test_the_number_of_jobs_does_not_change_a_byte(tmp_path, log):
    for jobs in (1, 3):
        run(open_run(tmp_path / f"jobs{jobs}", POLICIES), jobs)
    one, three = tmp_path / "jobs1", tmp_path / "jobs3"
    files = [*TABLES, *(p.relative_to(one) for p in one.glob("cells/*/cell.json"))]
    assert len(files) == 25
    assert [(one / f).read_bytes() for f in files] == [(three / f).read_bytes() for f in files]


def test_a_worker_has_one_framework_and_loads_it_once(tmp_path, log):
    run(open_run(tmp_path / "run", POLICIES), jobs=3)
    frameworks = {}
    for pid, what, name in log():
        if what == "load":
            assert pid not in frameworks
            frameworks[pid] = name
    for pid, what, name in log():
        if what == "cell":
            assert name.startswith(frameworks[pid])
    assert len(frameworks) >= 3


def test_one_job_is_a_worker_a_framework_with_the_longest_cells_first(tmp_path, log):
    run(open_run(tmp_path / "run", ("frozen", "bn-trainable", "fine-tune", "frozen-drifting")), jobs=1)
    order = ["fine-tune", "bn-trainable", "frozen-drifting", "frozen"]
    expected = [
        line
        for framework in ("keras", "torch")
        for line in (
            ["load", framework],
            *(["cell", f"{framework}-{policy}-native-seed0"] for policy in order),
        )
    ]
    assert [line[1:] for line in log()] == expected


@pytest.mark.parametrize(
    ("policy", "first", "last"),
    [("features", ["keras", "torch"], "keras"), ("bn-trainable", ["keras", "keras"], "torch")],
)
def test_a_worker_that_starts_takes_the_longest_cell_whatever_its_framework(
    tmp_path, log, misbehave, policy, first, last
):
    """Two long cells of Keras come before all of PyTorch's, which are short and fill the cores at the end."""
    misbehave(cells={"keras-fine-tune-native-seed0": "hang"})
    opened = open_run(tmp_path / "run", ("frozen", "fine-tune", policy))
    with pytest.raises(KeyboardInterrupt):
        interrupt_when(opened, lambda done: len(done) == 5)
    loads = [name for _, what, name in log() if what == "load"]
    assert (sorted(loads[:2]), loads[2:]) == (first, [last])


def interrupt_when(opened, enough):
    """Run with two jobs until enough cells have ended, then act as Ctrl-C does."""
    ended = []

    def on_event(cell, event):
        if isinstance(event, Ended):
            ended.append(cell)
        if enough(ended):
            raise KeyboardInterrupt

    with opened:
        engine.run_cells(opened, TASK, 2, on_event)


def test_ctrl_c_stops_the_workers_and_keeps_what_ended(tmp_path, log, misbehave):
    misbehave(cells={"keras-fine-tune-native-seed0": "hang"})
    opened = open_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        interrupt_when(opened, lambda done: len(done) == 3)
    assert left_running([pid for pid, what, _ in log() if what == "load"]) == []
    assert [cell.name for cell in opened.unfinished] == ["keras-fine-tune-native-seed0"]
    assert not (tmp_path / "run/cells/keras-fine-tune-native-seed0/cell.json").exists()


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("raise", "failed: ValueError: two lines"),
        ("kill", "failed: the {} worker died (signal 9, killed: perhaps out of memory)"),
    ],
)
def test_a_cell_that_fails_does_not_stop_the_others_and_runs_again(tmp_path, log, misbehave, how, status):
    misbehave(cells={"keras-fine-tune-native-seed0": how, "torch-fine-tune-native-seed0": how})
    opened = open_run(tmp_path / "run")
    run(opened)
    assert statuses(opened) == {
        "keras-frozen": "finished",
        "keras-fine-tune": status.format("keras"),
        "torch-frozen": "finished",
        "torch-fine-tune": status.format("torch"),
    }
    assert [cell.policy for cell in opened.unfinished] == ["fine-tune", "fine-tune"]

    misbehave()
    again = store.reopen(tmp_path / "run", opened.config, opened.cells)
    run(again)
    assert set(statuses(again).values()) == {"finished"}
    run(open_run(tmp_path / "straight"))
    for file in TABLES:
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()


def test_a_loss_that_is_not_finite_is_a_result(tmp_path, log, misbehave):
    misbehave(cells={"torch-frozen-native-seed0": "nan"})
    opened = open_run(tmp_path / "run")
    run(opened)
    assert statuses(opened)["torch-frozen"] == "failed: loss is not finite at epoch 1, step 2"
    assert opened.unfinished == []


def test_a_full_disk_stops_the_run(tmp_path, log, misbehave):
    misbehave(cells={"keras-fine-tune-native-seed0": "full"})
    opened = open_run(tmp_path / "run")
    with pytest.raises(OSError, match="No space left") as caught:
        run(opened, jobs=1)
    assert caught.value.errno == errno.ENOSPC
    assert len(opened.unfinished) == 4


def test_what_a_cell_prints_and_its_traceback_are_in_its_log(tmp_path, log, misbehave, capfd):
    misbehave(cells={"torch-frozen-native-seed0": "raise", "torch-fine-tune-native-seed0": "kill"})
    run(open_run(tmp_path / "run"))
    killed = tmp_path / "run/cells/torch-fine-tune-native-seed0/log.txt"
    assert killed.read_text() == "printed by torch-fine-tune-native-seed0 on card -1\n"
    text = (tmp_path / "run/cells/torch-frozen-native-seed0/log.txt").read_text()
    assert "printed by torch-frozen-native-seed0" in text
    assert "Traceback" in text
    assert 'raise ValueError("two\\nlines")' in text
    assert capfd.readouterr() == ("", "")


def test_costs_order_the_policies_as_measured():
    costs = {name: engine.cost(Cell("keras", "resnet50", name, "native", 0)) for name in POLICIES}
    assert costs["fine-tune-recalibrated"] == costs["fine-tune-bn-frozen"] > costs["bn-trainable"]
    assert costs["bn-trainable"] > costs["batch-stats"] == costs["frozen-drifting"] > costs["adapted"]


def test_a_cell_follows_the_training_that_serves_it_in_the_same_worker(tmp_path, log):
    """frozen-drifting must train; frozen-batch-stats goes by what it did, wherever it did it."""
    with_both = open_run(tmp_path / "run", ("frozen-batch-stats", "frozen", "frozen-drifting"))
    run(with_both, jobs=4)
    cells = {words[2]: (int(words[0]), place) for place, words in enumerate(log()) if words[1] == "cell"}
    for framework in ("keras", "torch"):
        (worker, place), (other, after) = (
            cells[f"{framework}-{policy}-native-seed0"]
            for policy in ("frozen-drifting", "frozen-batch-stats")
        )
        assert worker == other
        assert place < after
