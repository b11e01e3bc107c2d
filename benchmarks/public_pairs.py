"""`keras.applications` against torchvision: `python -m benchmarks.public_pairs MobileNetV2`.

Prints for torchvision's own network, and then with one mend after another (`benchmarks.public.in_torch.MENDS`), how
many arrays have their partner, the verdict, and the first place, cause and line that are found.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from compare.pair.asked import Asked, Outcome
from compare.pair.ends import Pair
from compare.pair.meeting import meet
from compare.pair.proof import check
from compare.pair.references import pair as references

HERE = Path(__file__).parent / "public"
# name -> how many mends make them the same function
PAIRS = {
    "VGG19": 2, "DenseNet121": 2, "MobileNetV2": 4, "MobileNetV3Small": 3, "InceptionV3": 4, "ConvNeXtTiny": 2,
    "EfficientNetB0": 4, "ResNet50": 4,
}  # fmt: skip


def judged(both: Pair, name: str, mends: int, steps: int = 1) -> Outcome:
    """Check a pair with so many of its mends."""
    keras, torch = references(f"{HERE}/in_keras.py:{name}", f"{HERE}/in_torch.py:{name}_{mends}")
    asked = Asked(keras, torch, steps=steps)
    return check(both, asked, meet(both, asked, lambda line: None), lambda line: None)


def told(outcome: Outcome) -> str:
    """An outcome in a line or two."""
    left = [one for one in outcome.map.left if one.side == "keras" or one.cause or one.candidates]
    line = f"{len(outcome.map.bindings)} arrays mapped, {len(left)} left: {outcome.verdict}"
    if outcome.first is not None:
        first = outcome.first
        line += f" at {first.stage}, {first.keras} ({first.torch}): {first.cause}: {first.text}"
        line += f"\n    mend: {first.code}"
    settings = [note for stage in outcome.stages if stage.name == "configuration" for note in stage.notes]
    if settings:
        line += f"\n    settings that differ: {len(settings)}, the first {settings[0]}"
    for one in left[:4]:
        line += f"\n    left in {one.side}: {one.name}: {one.reason}" + (
            f"; it could be {one.candidates[:6]}" if one.candidates else ""
        )
    return line


def main(name: str, steps: int, only: int | None) -> int:
    """Print the lines; 0 if the last is the same function.

    Args:
        only: one number of mends; None takes all.
    """
    verdict = ""
    with Pair("float64", threads=1) as both:
        for mends in range(PAIRS[name] + 1) if only is None else [only]:
            begun = time.monotonic()
            outcome = judged(both, name, mends, steps)
            verdict = outcome.verdict
            print(f"{name}, {mends} mended: {told(outcome)} ({time.monotonic() - begun:.0f} s)", flush=True)
    return int(verdict != "same")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=PAIRS)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--mends", type=int)
    given = parser.parse_args()
    sys.exit(main(given.name, given.steps, given.mends))
