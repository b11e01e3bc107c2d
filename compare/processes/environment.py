"""What this machine has, and the environment that a framework's process starts with."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from compare.frameworks import Framework

MOST_JOBS = 4  # a Keras worker takes up to 2 GB
# glibc reads these when a process starts. A pass over the population has many threads, each of which would keep
# memory of its own; with huge pages PyTorch trains a fifth faster.
MALLOC = {"MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

# glibc's number of the option of `mallopt`: from how many bytes on a block of memory is taken from the system and
# given back by itself. The larger size is what glibc goes up to on its own.
MMAP_THRESHOLD, LARGE, LARGEST = -3, 2**22, 2**25


def environment(framework: Framework, threads: int, device: str = "cpu") -> dict[str, str]:
    """This process's environment with what a framework needs in it; a person's own word on memory stands."""
    return {**MALLOC, **os.environ, **framework.environment(threads, device)}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """How many workers run at a time unless ``--jobs`` says otherwise."""
    return min(cores(), MOST_JOBS)


def threads() -> int:
    """Threads a worker: a matter of the machine alone, so that ``--jobs`` doesn't change the results."""
    return max(1, cores() // default_jobs())


def peak_memory() -> int:
    """Bytes that this process has had in memory at most (Linux counts in KiB, macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def large_blocks_given_back() -> Iterator[None]:
    """Have the C library, where it is glibc, take large blocks one by one and give them back, until the end.

    What a thread frees is else kept for that thread, and a pass over the population has one for each batch.
    """
    _set_threshold(LARGE)
    try:
        yield
    finally:
        _set_threshold(LARGEST)


def _set_threshold(size: int) -> None:
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, size)
        library.malloc_trim(0)
