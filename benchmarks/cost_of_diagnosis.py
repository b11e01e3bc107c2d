"""What a diagnosis costs: `python -m benchmarks.cost_of_diagnosis`.

Three tables, each framework in a process of its own, on the processor:

- beside one evaluation, the middle one of three: a ResNet50 with random weights, 320 images of 224 pixels in batches
  of 32, with the figures that a person reports; and the audit alone, after import,
- in training: the callback at the last of ten epochs of a whole ResNet50, 320 images of 96 pixels, and of a small
  network, whose share is printed but not asked for; Keras's `fit`, a PyTorch loop, Lightning and Hugging Face;
  ``--network`` and ``--way`` take one of them. What the callback adds is timed inside its own calls, so that what
  else the machine does meanwhile counts on both sides; a training with it and one without are a few minutes,
- memory: data of 100 times the limit beside data of the limit.

Exits with 1 where the diagnosis takes more than ten evaluations, the audit five seconds, the callback a quarter of the
fit or a hundredth of another epoch, or many data more memory than few.

TensorFlow repeats a fit of a large network to the byte on one thread alone: with several, figures DIFFER without a
callback, too. `TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1` before the command shows what one does to them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_PASSES, MOST_SECONDS, MOST_OF_FIT, MOST_OF_AN_EPOCH, MOST_MEMORY = 10.0, 5.0, 0.25, 0.01, 64.0
BATCH, EPOCHS = 32, 10
PARTS = ("beside", "training", "memory")
# the network -> whether the figures of a training are asked of it
NETWORKS = {"small": False, "ResNet50": True}


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def images(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal images with their channels last, and two classes that their mean tells."""
    rng, labels = np.random.default_rng(0), np.arange(count) % 2
    x = rng.normal(size=(count, size, size, 3)) + labels[:, None, None, None]
    return x.astype("float32"), labels


def beside(side: Any, count: int, size: int) -> bool:
    """A diagnosis and an audit beside one evaluation: the middle one of three, since one differs from the next."""
    import compare

    model, data = side.resnet50(size), side.data(images(count, size))
    loss = side.evaluate(model, data)
    each = [timed(lambda: side.evaluate(model, data))[0] for _ in range(2)]
    audit, _ = timed(lambda: compare.audit(model))
    seen = {"loss": loss * 0.9, "evaluate_loss": loss}
    whole, _ = timed(lambda: side.diagnose(model, data, reported=seen))
    each = sorted([*each, timed(lambda: side.evaluate(model, data))[0]])
    once = each[1]
    print(
        f"{side.name}: one evaluation of {count} images of {size} px: {once:.1f} s, {each[0]:.1f} to {each[2]:.1f}"
        " of three, two before the diagnosis and one after it"
    )
    print(f"{side.name}: audit: {audit:.1f} s (at most {MOST_SECONDS:g})")
    print(f"{side.name}: diagnosis: {whole:.1f} s, {whole / once:.1f} evaluations (at most {MOST_PASSES:g})")
    return whole <= MOST_PASSES * once and audit <= MOST_SECONDS


def training(side: Any, given: argparse.Namespace) -> bool:
    """The callback at the last epoch beside the same training without it."""
    good, count, size = True, given.images, given.training_size
    for kind in [given.network] if given.network else NETWORKS:
        asked = NETWORKS[kind]
        for way in [way for way in side.ways if given.way in (None, way)]:
            data = images(count, size if asked else 32)
            without = side.train(kind, data, way, False)
            watched = side.train(kind, data, way, True)
            same = without.figures == watched.figures
            share, others = watched.added(), watched.added_to_others()
            print(
                f"{side.name}, {way}, {kind}, {count} images of {data[0].shape[1]} px, {EPOCHS} epochs:"
                f" {without.whole().seconds:.1f} s; the callback adds {share.seconds:+.0%} (at most {MOST_OF_FIT:.0%};"
                f" of processor time {share.processor:+.0%}), to the epochs before the last one {others.seconds:+.2%}"
                f" (at most {MOST_OF_AN_EPOCH:.0%}); whole with it {watched.whole().seconds:.1f} s; figures"
                f" {'the same' if same else 'DIFFER'}",
                flush=True,
            )
            good &= same and (
                not asked or (share.seconds <= MOST_OF_FIT and others.seconds <= MOST_OF_AN_EPOCH)
            )
    return good


def memory(side: Any, limit: int) -> bool:
    """Data of 100 times the limit, made batch by batch, beside data of the limit."""
    model, size = side.small(16), 16

    def batches(count: int) -> Callable[[], Any]:
        def give() -> Any:
            for start in range(0, count, BATCH):
                rng = np.random.default_rng(start)
                yield side.batch(
                    (rng.normal(size=(BATCH, size, size, 3)).astype("float32"), rng.integers(0, 2, BATCH))
                )

        return give

    found = []
    for times in (1, 100):
        side.diagnose(model, batches(limit * times), limit=limit)
        found.append(peak())
    print(
        f"{side.name}: peak memory with data of the limit {found[0]:.0f} MiB, of 100 times the limit {found[1]:.0f} MiB"
    )
    return found[1] - found[0] <= MOST_MEMORY


def main(framework: str, part: str, given: argparse.Namespace) -> int:
    """Measure one part in one framework, and return the exit code."""
    from importlib import import_module

    side = import_module(f"benchmarks.diagnosed_{framework}")
    if part == "beside":
        return int(not beside(side, given.images, given.size))
    if part == "training":
        return int(not training(side, given))
    return int(not memory(side, BATCH))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--training-size", type=int, default=96)
    parser.add_argument("--framework", choices=("keras", "torch"))
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--network", choices=tuple(NETWORKS), help="Of the training. [default: both]")
    parser.add_argument(
        "--way", help="Of the training: fit, a loop, Lightning or Hugging Face. [default: all]"
    )
    asked = parser.parse_args()
    if asked.framework and asked.part:
        sys.exit(main(asked.framework, asked.part, asked))
    code = 0
    for framework in [asked.framework] if asked.framework else ["torch", "keras"]:
        for part in [asked.part] if asked.part else PARTS:
            options = [
                f"--images={asked.images}",
                f"--size={asked.size}",
                f"--training-size={asked.training_size}",
                *([f"--network={asked.network}"] if asked.network else []),
                *([f"--way={asked.way}"] if asked.way else []),
            ]
            command = [
                sys.executable,
                "-m",
                "benchmarks.cost_of_diagnosis",
                f"--framework={framework}",
                f"--part={part}",
            ]
            code |= subprocess.run([*command, *options]).returncode
    sys.exit(code)
