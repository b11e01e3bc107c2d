"""Peak memory of an epoch over 1,000 and over 100,000 images: `python -m benchmarks.memory_of_folder`.

The folders hold hard links to 200 small JPEGs; each is checked, decoded and cached as an image of its own.
For each folder a process loads it, splits it and iterates one training epoch and the validation images. It
takes some minutes, and exits with 1 where the larger folder needs 2 GiB more than the smaller.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from compare.data import Stream, load, split

COUNTS = (1_000, 100_000)
ORIGINALS = 200
IMAGE_SIZE = 96
LIMIT = 2 * 2**30
MIB = 2**20


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


def iterate(folder: str) -> int:
    """Go through an epoch and the validation images; return this process's peak RSS in bytes."""
    data = load(folder)
    stream = Stream(data, *split(data, seed=0), IMAGE_SIZE, 32, 0, "caffe")
    for batches in (stream.epoch(0), stream.validation()):
        for batch in batches:
            del batch
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(count: int) -> int:
    """Peak RSS, in bytes, of a process that iterates a folder of ``count`` images."""
    with TemporaryDirectory() as folder:
        write_folder(Path(folder), count)
        started = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.memory_of_folder", folder]
        peak = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    print(
        f"{count:>7,} images: peak {peak / MIB:,.0f} MiB, {time.perf_counter() - started:.0f} s", flush=True
    )
    return peak


def main() -> int:
    small, large = (measure(count) for count in COUNTS)
    print(f"difference {(large - small) / MIB:,.0f} MiB; it must be below {LIMIT / MIB:,.0f} MiB")
    return int(large - small >= LIMIT)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(iterate(sys.argv[1]))
    else:
        sys.exit(main())
