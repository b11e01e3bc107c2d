"""Time `compare report` on a run of the default size, start of Python and imports included.

    python -m benchmarks.report_again [ROUNDS]

Prints the median seconds on the clock, and of all processors. Nothing else may run beside it.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.synthetic_run import make_run


def main(rounds=5):
    found = []
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run")
        for _ in range(rounds):
            began, before = time.perf_counter(), _processors()
            subprocess.run(
                [sys.executable, "-m", "compare", "report", str(run)], check=True, capture_output=True
            )
            found.append((time.perf_counter() - began, _processors() - before))
    seconds, processors = (statistics.median(values) for values in zip(*found, strict=True))
    print(f"compare report: {seconds:.2f} s, {processors:.2f} s of all processors; median of {rounds}")


def _processors():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
