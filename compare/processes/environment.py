"""What this machine has, and the environment that a framework's process starts with."""

from __future__ import annotations

import os
import resource
import sys

from compare.frameworks import Framework

MOST_JOBS = 4  # a Keras worker takes up to 2 GB
# glibc reads these when a process starts. A pass over the population has many threads, each of which would keep
# memory of its own; with huge pages PyTorch trains a fifth faster.
MALLOC = {"MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def environment(framework: Framework, threads: int) -> dict[str, str]:
    """This process's environment with what a framework needs in it; a person's own word on memory stands."""
    return {**MALLOC, **os.environ, **framework.environment(threads)}


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
