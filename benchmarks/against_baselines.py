"""Time `compare run` against the two hand-written scripts, and without its explanation, in turn on one machine.

    python -m benchmarks.against_baselines [ROUNDS]

Prints the median seconds of each; the ratio of medians of `compare run` to the sum of the scripts; what its
explanation adds, in time and in the peak memory of the largest worker of each framework; and how busy the cores were
from the end of the first epoch on. A round takes some 10 minutes on two cores. Nothing else may run beside it.
"""

import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = ["-m", "compare", "run", "--backbone", "resnet50", "--weights", "pretext"]
COMMANDS = {
    "baseline_keras": ["-m", "benchmarks.baseline_keras"],
    "baseline_torch": ["-m", "benchmarks.baseline_torch"],
    "compare run": RUN,
    "unexplained": [*RUN, "--explain", "nothing"],
}
CORES = len(os.sched_getaffinity(0))
TICK = os.sysconf("SC_CLK_TCK")


def seconds(name, folder):
    """Seconds that a command takes, and the share of the cores' time that it used after its first epoch."""
    command = [sys.executable, *COMMANDS[name]]
    if "compare" in command:
        command += ["--out", str(folder)]
    start, before, said, mark = time.perf_counter(), _ended(), [], None
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        said.append(line)
        if mark is None and ": epoch 1/" in line:
            mark = time.perf_counter(), _running(process.pid)
    if process.wait():
        sys.exit(f"{name} failed\n{''.join(said)[-2000:]}")
    end = time.perf_counter()
    if mark is None:
        return end - start, None
    return end - start, (_ended() - before - mark[1]) / (CORES * (end - mark[0]))


def _ended():
    """Seconds of processor time of all processes that this one has waited for, and of those that they have."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _running(root):
    """Seconds of processor time so far of a process and of all that it started."""
    parents, used = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        # see proc(5): ppid, then utime, stime, cutime and cstime
        parents[int(entry.name)], used[int(entry.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(used.get(pid, 0) for pid in family) / TICK


def peaks(folder):
    """The peak memory of each framework's largest worker, MiB."""
    rows = list(csv.DictReader((folder / "timing.csv").read_text().splitlines()))
    of = {
        framework: [row for row in rows if row["cell"].startswith(framework)]
        for framework in ("keras", "torch")
    }
    return {framework: max(int(row["peak_memory_mb"]) for row in cells) for framework, cells in of.items()}


def main(rounds):
    times = {name: [] for name in COMMANDS}
    memory, busy = {name: [] for name in COMMANDS}, []
    with tempfile.TemporaryDirectory() as parent:
        for number in range(rounds):
            for name, measured in times.items():
                folder = Path(parent, f"{name}-{number}")
                took, share = seconds(name, folder)
                measured.append(took)
                print(f"round {number + 1}: {name} {took:.0f} s", flush=True)
                if folder.exists():
                    memory[name].append(peaks(folder))
                if name == "compare run":
                    busy.append(share)
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    baseline = medians["baseline_keras"] + medians["baseline_torch"]
    print(f"compare run {medians['compare run']:.0f} s, the two scripts {baseline:.0f} s", end="; ")
    print(f"ratio of medians over {rounds} rounds: {medians['compare run'] / baseline:.2f}")
    print(f"cores busy after the first epoch: {statistics.median(busy):.0%} of {CORES}")
    explained = 1 - medians["unexplained"] / medians["compare run"]
    print(f"unexplained {medians['unexplained']:.0f} s: the explanation's share is {explained:.0%}", end="; ")
    for framework in ("keras", "torch"):
        with_, without = (
            statistics.median(found[framework] for found in memory[name])
            for name in ("compare run", "unexplained")
        )
        print(f"{framework}'s largest worker {with_:.0f} MiB, {with_ - without:+.0f}", end="; ")
    print()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
