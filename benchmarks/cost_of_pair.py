"""What the check of a pair costs: `python -m benchmarks.cost_of_pair [ResNet50|ConvNeXtTiny]`.

A network of about 25 million parameters in both frameworks, 64 pixels, ten steps in float64, each framework with one
thread. Exits with 1 where it takes more than four minutes or 8 GiB of both processes together, or isn't the same.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

from benchmarks.public_pairs import HERE, PAIRS
from compare.pair.asked import Asked
from compare.pair.proof import prove
from compare.pair.references import pair as references

MOST_SECONDS, MOST_BYTES, STEPS = 240.0, 8 * 2**30, 10


def main(name: str) -> int:
    """Measure, print, and return the exit code."""
    keras, torch = references(f"{HERE}/in_keras.py:{name}", f"{HERE}/in_torch.py:{name}_{PAIRS[name]}")
    stages, begun = [], time.monotonic()

    def report(line: str) -> None:
        stages.append((time.monotonic() - begun, line))

    outcome = prove(Asked(keras, torch, steps=STEPS), report)
    took = time.monotonic() - begun
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    for (at, line), (after, _) in zip(stages, [*stages[1:], (took, "")], strict=True):
        print(f"{after - at:7.1f} s  {line}")
    print(f"{name}: {outcome.verdict}, {outcome.first or ''}")
    print(f"{took:.0f} s (at most {MOST_SECONDS:g}), {spent.ru_utime + spent.ru_stime:.0f} s of two cores")
    print(f"{outcome.peak_memory / 2**30:.1f} GiB in both processes (at most {MOST_BYTES / 2**30:g})")
    return int(took > MOST_SECONDS or outcome.peak_memory > MOST_BYTES or outcome.verdict != "same")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default="ResNet50", choices=("ResNet50", "ConvNeXtTiny"))
    sys.exit(main(parser.parse_args().name))
