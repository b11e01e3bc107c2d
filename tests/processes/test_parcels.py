"""Files on their way to a node: packed in pieces, unpacked once for all that work there, gone with the last."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import threading

import pytest

from compare.processes import parcels
from compare.processes.parcels import Folder, packed
from tests.support.waiting import until

HOLD = """
import sys
from compare.processes.parcels import Folder
folder = Folder("run", lambda: print("bring") or [[("0", b"zero")]])
print("ready", (folder.path / "0").read_bytes(), flush=True)
if sys.stdin.readline() == "close\\n":
    folder.close()
    print("closed", flush=True)
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Where the temporary files are, also of processes that are started."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / f"compare-cells-{os.getuid()}"


def hold():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", HOLD], **pipes)


def ready(process):
    lines = [process.stdout.readline()]
    while not lines[-1].startswith("ready"):
        assert lines[-1], "it ended"
        lines.append(process.stdout.readline())
    return lines


def test_files_of_every_size_arrive_as_they_were(tmp_path, monkeypatch, home):
    monkeypatch.setattr(parcels, "CHUNK", 10)
    contents = [b"", b"abc", bytes(range(25)), b"0123456789", b"", b"z"]
    for number, content in enumerate(contents):
        (tmp_path / f"file {number}.jpg").write_bytes(content)
    chunks = list(packed(tmp_path / f"file {number}.jpg" for number in range(len(contents))))
    assert all(sum(len(piece) for _, piece in chunk) <= 10 for chunk in chunks)
    folder = Folder("run", lambda: chunks)
    assert [(folder.path / str(n)).read_bytes() for n in range(len(contents))] == contents
    folder.close()
    assert os.listdir(home) == []


def test_processes_of_a_node_share_a_folder_and_the_last_takes_it_away(home):
    with hold() as one, hold() as other:
        said = ready(one) + ready(other)
        assert said.count("bring\n") == 1
        assert said.count("ready b'zero'\n") == 2
        for process, left in ((one, ["run", "run.lock"]), (other, [])):
            process.stdin.write("close\n")
            process.stdin.flush()
            assert process.stdout.readline() == "closed\n"
            assert sorted(os.listdir(home)) == left


def test_who_finds_it_unpacked_meanwhile_does_not_wait_for_the_others_end(home, monkeypatch):
    lock, others = fcntl.lockf, []
    ends = threading.Timer(60, lambda: others[0].kill())  # so that a wait ends, and the test fails

    def after_another(file, how):
        if how & fcntl.LOCK_EX and not others:
            others.append(hold())
            ready(others[0])
            ends.start()
        return lock(file, how)

    monkeypatch.setattr(fcntl, "lockf", after_another)
    folder = Folder("run", lambda: [])
    assert (folder.path / "0").read_bytes() == b"zero"
    with others[0] as other:
        ends.cancel()
        assert other.poll() is None
        folder.close()


def test_what_a_killed_process_left_goes_with_the_next_run_and_what_is_used_stays(home):
    with hold() as killed:
        ready(killed)
        killed.kill()
    assert sorted(os.listdir(home)) == ["run", "run.lock"]
    with hold() as working:
        ready(working)
        Folder("next", lambda: []).close()
        assert sorted(os.listdir(home)) == ["run", "run.lock"]
        working.kill()
    until(lambda: parcels.sweep() or not os.listdir(home))


def test_a_full_disk_leaves_nothing_half_unpacked(home):
    def bring():
        yield [("0", b"zero")]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        Folder("run", bring)
    assert os.listdir(home) == []
