"""A worker: a process of one framework that calls functions."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compare.frameworks import FRAMEWORKS
from compare.processes.errors import WorkerDiedError, WorkerError
from compare.processes.worker import SAY, Worker
from compare.spec import InputError
from tests.support import far_functions as far
from tests.support.processes import left_running

TORCH = FRAMEWORKS["torch"]


@pytest.fixture(scope="module")
def worker():
    """A worker whose framework is never imported."""
    with Worker(TORCH, threads=1, prepared=False) as one:
        yield one


def test_it_calls_a_function_and_returns_what_that_returns(worker):
    assert worker.call(far.add, 2, 3) == 5
    assert worker.call(far.modules) == []


def test_what_is_kept_there_is_an_argument_of_later_calls(worker):
    five = worker.keep(far.add, [2], [3])
    six = worker.keep(far.add, five, [1])
    assert worker.call(far.add, six, five) == [2, 3, 1, 2, 3]


def test_it_says_things_while_it_works(worker):
    said = []
    worker.send(far.say_and_return, [1, 2, 3], SAY)
    assert worker.receive(said.append) == 3
    assert said == [1, 2, 3]


def test_two_work_side_by_side(worker, tmp_path):
    """Each waits at its work for the other to be at work."""
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    with Worker(TORCH, threads=1, prepared=False) as other:
        worker.send(far.meet, here, there)
        other.send(far.meet, there, here)
        assert (worker.receive(), other.receive()) == (None, None)


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("input", InputError, "--width 3: must be below 2"),
        ("value", ValueError, "two\nlines"),
        ("disk", OSError, "No space left on device"),
        ("library's disk", OSError, "No space left on device"),
        ("foreign", WorkerError, "LocalError: of its own"),
        ("stubborn", WorkerError, "StubbornError: "),
    ],
)
def test_an_error_keeps_its_type_and_tells_where_it_was_raised(worker, kind, error, words):
    with pytest.raises(error, match=words) as raised:
        worker.call(far.fail, kind)
    assert type(raised.value) is error
    assert "far_functions.py" in raised.value.__notes__[0]
    if error is OSError:
        assert raised.value.errno == errno.ENOSPC
    assert worker.call(far.add, 1, 1) == 2


def test_what_cannot_be_sent_back_is_an_error_and_no_hang(worker):
    with pytest.raises(Exception, match=r"pickle|local object"):
        worker.call(far.not_picklable)
    assert worker.call(far.add, 1, 1) == 2


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", r"the torch worker died \(exit code 3\)"),
        ("SIGKILL", r"the torch worker died \(signal 9, killed: perhaps out of memory\)"),
        ("SIGSEGV", r"the torch worker died \(signal 11, Segmentation fault\)"),
    ],
)
def test_a_death_is_said_with_the_last_words(how, words):
    with Worker(TORCH, prepared=False) as worker:
        with pytest.raises(WorkerDiedError, match=words) as died:
            worker.call(far.die, how)
        assert died.value.__notes__ == ["its last words:\nits last words\n"]
        with pytest.raises(WorkerDiedError, match=words):
            worker.call(far.add, 1, 1)


def test_patience_ends():
    with (
        Worker(TORCH, prepared=False, patience=1.0) as worker,
        pytest.raises(TimeoutError, match="within 1 s"),
    ):
        worker.call(far.sleep)


def test_ctrl_c_is_for_the_parent_alone(worker):
    assert worker.call(far.signals)
    assert not far.signals()
    os.kill(worker.process.pid, signal.SIGINT)
    assert worker.call(far.add, 1, 1) == 2


def test_a_worker_ends_when_its_parent_is_killed():
    program = (
        "from compare.frameworks import FRAMEWORKS as F; from compare.processes.worker import Worker;"
        "from tests.support import far_functions as far;"
        "w = Worker(F['torch'], prepared=False); w.call(far.add, 1, 1); print(w.process.pid, flush=True);"
        "w.call(far.sleep)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    assert left_running([worker]) == []


def test_the_parents_environment_stays_as_it_was(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    before = dict(os.environ)
    with Worker(FRAMEWORKS["keras-jax"], threads=3, prepared=False) as worker:
        there = worker.call(far.environment)
    assert dict(os.environ) == before
    assert there["MALLOC_ARENA_MAX"] == "7"
    assert there["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    assert {there[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")} == {"3"}
    assert (there["KERAS_BACKEND"], there["CUDA_VISIBLE_DEVICES"]) == ("jax", "-1")


@pytest.mark.parametrize(
    ("name", "imported", "other"), [("torch", "torch", "tensorflow"), ("keras", "tensorflow", "torch")]
)
def test_a_framework_gets_its_threads_determinism_and_dtype(name, imported, other):
    framework = FRAMEWORKS[name]
    with Worker(framework, 1, "float32") as worker:
        assert worker.call(far.state, framework) == (1, True, "float32")
        assert worker.call(far.change_dtype, framework, "float64") == (1, True, "float64")
        modules = worker.call(far.modules)
        frozen, collects = worker.call(far.collector)
    # most of what a framework brings, which isn't looked through again, while later garbage is
    assert frozen > 100_000
    assert collects
    assert imported in modules
    assert other not in modules


def test_what_is_not_deterministic_is_refused_on_the_cpu_and_said_on_a_card():
    """In the worker's words, which become the cell's ``log.txt``."""
    pytest.importorskip("torch")
    with (
        Worker(FRAMEWORKS["torch"], 1) as here,
        pytest.raises(RuntimeError, match="put_ does not have a determ"),
    ):
        here.call(far.undetermined)
    with Worker(FRAMEWORKS["torch"], 1, device="mps") as card:  # it only believes to be on one
        assert card.call(far.undetermined) == [0, 2, 0, 0]
        assert b"put_ does not have a deterministic implementation" in card.printed()
