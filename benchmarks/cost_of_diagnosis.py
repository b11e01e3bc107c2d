"""What a diagnosis costs beside one evaluation: `python -m benchmarks.cost_of_diagnosis`.

A ResNet50 in PyTorch with random weights, 320 images of 224 pixels, batches of 32, on the processor. Exits with 1
where the diagnosis takes more than ten evaluations of the same images, or the audit alone five seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

MOST_PASSES, MOST_SECONDS = 10.0, 5.0


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(images: int, size: int) -> int:
    """Measure, print a line each, and return the exit code."""
    import torch
    import torch.nn.functional as F
    import torchvision

    import compare

    torch.manual_seed(0)
    model = torchvision.models.resnet50(num_classes=2)
    x, y = torch.randn(images, 3, size, size), torch.arange(images) % 2
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, images, 32)]

    def evaluate() -> None:
        model.eval()
        with torch.no_grad():
            for inputs, targets in batches:
                F.cross_entropy(model(inputs), targets)

    evaluate()
    once = timed(evaluate)
    audit = timed(lambda: compare.audit(model))
    whole = timed(lambda: compare.diagnose(model, batches, loss=F.cross_entropy))
    print(f"one evaluation of {images} images of {size} px: {once:.1f} s")
    print(f"audit: {audit:.1f} s (at most {MOST_SECONDS:g})")
    print(f"diagnosis: {whole:.1f} s, {whole / once:.1f} evaluations (at most {MOST_PASSES:g})")
    return int(whole > MOST_PASSES * once or audit > MOST_SECONDS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--size", type=int, default=224)
    given = parser.parse_args()
    sys.exit(main(given.images, given.size))
