"""Time `compare run` against the two hand-written scripts, in turn on the same machine.

    python -m benchmarks.against_baselines [ROUNDS]

Prints the median seconds of each and the ratio of medians: `compare run` over the sum of the scripts.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "baseline_keras": ["-m", "benchmarks.baseline_keras"],
    "baseline_torch": ["-m", "benchmarks.baseline_torch"],
    "compare run": ["-m", "compare", "run", "--backbone", "resnet50", "--weights", "pretext"],
}


def seconds(name, folder):
    command = [sys.executable, *COMMANDS[name]]
    if name == "compare run":
        command += ["--out", str(folder)]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{name} failed\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def main(rounds):
    times = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name, measured in times.items():
                measured.append(seconds(name, Path(folder) / str(number)))
                print(f"round {number + 1}: {name} {measured[-1]:.0f} s", flush=True)
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    baseline = medians["baseline_keras"] + medians["baseline_torch"]
    print(f"compare run {medians['compare run']:.0f} s, the two scripts {baseline:.0f} s", end="; ")
    print(f"ratio of medians over {rounds} rounds: {medians['compare run'] / baseline:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
