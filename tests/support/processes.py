"""What the system says of a process: whether it runs, and what started it."""

from contextlib import suppress
from pathlib import Path

from tests.support.waiting import until


def left_running(pids):
    """Which of some processes still run, after a minute at most in which they may end."""
    with suppress(TimeoutError):
        until(lambda: not any(is_running(pid) for pid in pids), 60)
    return [pid for pid in pids if is_running(pid)]


def is_running(pid):
    """Whether a process is there, and not a zombie: one that has ended and waits for its parent to take note."""
    try:
        return _status(pid)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent(pid):
    """The process that started another."""
    return int(_status(pid)[1])


def _status(pid):
    """The fields of a process's status that follow its name, which may hold spaces and parentheses."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
