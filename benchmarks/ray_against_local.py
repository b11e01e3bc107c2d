"""Time the cells of `compare run` on Ray and on the local engine, in turn on one machine.

    python -m benchmarks.ray_against_local [ROUNDS] [OPTION OF compare run ...]

Prints the median seconds of each, from the line that says what there is to do to the one that names the report, so that
starting Ray isn't counted; their ratio; and whether the five tables are the same to the byte. Without options it is the
default run.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TABLES = ("results.csv", "history.csv", "gap.csv", "layers.csv", "stages.csv")


def seconds(engine, folder, options):
    """Run it, and return how long its cells, tables and report took."""
    command = [sys.executable, "-m", "compare", "run", "--backbone", "resnet50", "--engine", engine]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*command, "--out", str(folder), *options], **pipes) as process:
        began = ended = 0.0
        lines = []
        for line in process.stdout:
            lines.append(line)
            began = time.perf_counter() if "of them finished already" in line else began
            ended = time.perf_counter() if line.startswith("report:") else ended
    if process.returncode:
        sys.exit(f"{engine} failed\n{''.join(lines)[-2000:]}")
    return ended - began


def main(rounds, options):
    times = {"local": [], "ray": []}
    with tempfile.TemporaryDirectory() as parent:
        for number in range(rounds):
            for engine, measured in times.items():
                measured.append(seconds(engine, Path(parent, f"{engine}-{number}"), options))
                print(f"round {number + 1}: {engine} {measured[-1]:.0f} s", flush=True)
        local, ray = Path(parent, "local-0"), Path(parent, "ray-0")
        same = [(local / table).read_bytes() == (ray / table).read_bytes() for table in TABLES]
    medians = {engine: statistics.median(measured) for engine, measured in times.items()}
    ratio = medians["ray"] / medians["local"]
    print(f"local {medians['local']:.0f} s, ray {medians['ray']:.0f} s", end="; ")
    print(f"ratio of medians over {rounds} rounds: {ratio:.2f}; {sum(same)} of 5 tables have the same bytes")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1, sys.argv[2:])
