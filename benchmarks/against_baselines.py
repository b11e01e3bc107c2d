"""Time `compare run` against the two hand-written scripts, and without its explanation, in turn on one machine.

    python -m benchmarks.against_baselines [ROUNDS]

Prints the median seconds of each; the ratio of medians of `compare run` to the sum of the scripts; and what its
explanation adds, in time and in the peak memory of the largest worker of each framework. A round takes some 20
minutes on two cores.
"""

import csv
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


def seconds(name, folder):
    command = [sys.executable, *COMMANDS[name]]
    if "compare" in command:
        command += ["--out", str(folder)]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{name} failed\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


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
    memory = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as parent:
        for number in range(rounds):
            for name, measured in times.items():
                folder = Path(parent, f"{name}-{number}")
                measured.append(seconds(name, folder))
                print(f"round {number + 1}: {name} {measured[-1]:.0f} s", flush=True)
                if folder.exists():
                    memory[name].append(peaks(folder))
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    baseline = medians["baseline_keras"] + medians["baseline_torch"]
    print(f"compare run {medians['compare run']:.0f} s, the two scripts {baseline:.0f} s", end="; ")
    print(f"ratio of medians over {rounds} rounds: {medians['compare run'] / baseline:.2f}")
    added = medians["compare run"] / medians["unexplained"] - 1
    print(f"unexplained {medians['unexplained']:.0f} s: the explanation adds {added:.0%}", end="; ")
    for framework in ("keras", "torch"):
        with_, without = (
            statistics.median(found[framework] for found in memory[name])
            for name in ("compare run", "unexplained")
        )
        print(f"{framework}'s largest worker {with_:.0f} MiB, {with_ - without:+.0f}", end="; ")
    print()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
