"""Peak memory of training on 1,000 and on 100,000 images: `python -m benchmarks.memory_of_folder`.

The folders hold hard links to 200 small JPEGs; each is checked, decoded and cached as an image of its own. On each
folder `compare run` trains one epoch of `frozen-batch-stats` in both frameworks, which keeps every image's features,
and explains its gap. It takes a quarter of an hour, and exits with 1 where a framework's worker needs 2 GiB more
for the larger folder.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

COUNTS = (1_000, 100_000)
ORIGINALS = 200
LIMIT = 2 * 2**10  # MiB
OPTIONS = "--backbone resnet50 --weights pretext --policy frozen-batch-stats --preset full --epochs 1 --image-size 32"


def write_folder(folder: Path, count: int) -> None:
    """Fill ``folder`` with ``count`` images, a fifth of them positive."""
    rng = np.random.default_rng(0)
    originals = []
    for number in range(ORIGINALS):
        originals.append(folder / f".{number}.jpg")
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((128, 128), Image.Resampling.BICUBIC).save(originals[-1])
    for name in ("defective", "functional"):
        (folder / name).mkdir()
    for number in range(count):
        name = "functional" if number % 5 else "defective"
        os.link(originals[number % ORIGINALS], folder / name / f"{number:06}.jpg")


def measure(count: int) -> dict[str, int]:
    """Peak RSS in MiB of each framework's worker, on a folder of ``count`` images."""
    with TemporaryDirectory() as parent:
        images, run = Path(parent, "images"), Path(parent, "run")
        images.mkdir()
        write_folder(images, count)
        started = time.perf_counter()
        command = [sys.executable, "-m", "compare", "run", *OPTIONS.split(), "--data", images, "--out", run]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = list(csv.DictReader((run / "timing.csv").read_text().splitlines()))
    peaks = {row["cell"].split("-")[0]: int(row["peak_memory_mb"]) for row in rows}
    print(f"{count:>7,} images: {peaks} MiB, {time.perf_counter() - started:.0f} s", flush=True)
    return peaks


def main() -> int:
    small, large = (measure(count) for count in COUNTS)
    more = {framework: large[framework] - small[framework] for framework in small}
    print(f"difference {more} MiB; each must be below {LIMIT:,} MiB")
    return int(max(more.values()) >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
