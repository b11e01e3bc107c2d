"""How the cost of a run grows with its policies, seeds, images and cells: draws docs/grid-cost.png.

    python -m benchmarks.cost_of_the_grid [FILE]

Each point is a run of its own, and its cost is the processor time of its processes: what else the machine does isn't
in it. Prints the points of each series, the straight line through them, and how far the worst is from it. Some
three minutes of processor time.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SMALL = ["--framework", "torch", "--image-size", "32", "--batch-size", "16", "--epochs", "2", "--jobs", "1"]
ALIKE = [
    "fine-tune",
    "fine-tune-bn-frozen",
    "fine-tune-recalibrated",
    "bn-trainable",
]  # each trains on its own
SERIES = {
    "policies": (1, 2, 3, 4),
    "seeds": (1, 2, 4, 8),
    "images": (64, 256, 512, 1024),
    "empty cells": (250, 500, 1000),
}


def options(series, count):
    """The run of a point: what isn't counted is as small as it can be."""
    policies = ALIKE[:count] if series == "policies" else ["fine-tune"]
    images = {"images": count, "policies": 128}.get(series, 64)
    seeds = count if series == "seeds" else 1
    chosen = [word for policy in policies for word in ("--policy", policy)]
    return [*SMALL, *chosen, "--images", str(images), "--seeds", str(seeds)]


def processor_time(command):
    """Run a command; return the seconds of processor time that it and what it started took, and what it printed."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        text = said.read().decode()
    if status:
        sys.exit(f"{' '.join(command)} failed\n{text[-2000:]}")
    return usage.ru_utime + usage.ru_stime, text


def measure(series, count):
    """Seconds of a point."""
    if series == "empty cells":
        said = processor_time([sys.executable, "-m", "benchmarks.empty_cells", str(count), "local"])[1]
        return float(re.search(r"own time ([\d.]+) ms", said)[1]) * count / 1000
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "compare", "run", "--backbone", "resnet50", "--out", f"{folder}/run"]
        return processor_time([*command, *options(series, count)])[0]


def draw(points, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(points), figsize=(11, 2.8), layout="constrained")
    for ax, (series, (counts, seconds, line)) in zip(axes, points.items(), strict=True):
        ends = np.array([0, counts[-1]])
        ax.plot(ends, np.polyval(line, ends), color="0.7")
        ax.plot(counts, seconds, "o", color="tab:blue")
        ax.set(xlabel=series, xlim=(0, None), ylim=(0, None))
    axes[0].set_ylabel("processor time, s")
    figure.savefig(path, dpi=110)


def main(path):
    points = {}
    for series, counts in SERIES.items():
        seconds = [measure(series, count) for count in counts]
        line = np.polyfit(counts, seconds, 1)
        off = max(abs(np.polyval(line, counts) - seconds) / seconds)
        points[series] = counts, seconds, line
        shown = ", ".join(f"{count}: {second:.2f} s" for count, second in zip(counts, seconds, strict=True))
        print(
            f"{series}: {shown}; {line[0]:.4f} s each on top of {line[1]:.2f} s, {off:.0%} off at most",
            flush=True,
        )
    draw(points, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "grid-cost.png")
