"""An epoch of fine-tuning on a device against the plainest loop on tensors that lie there already.

    python -m benchmarks.on_device torch cuda          # or keras, keras-jax, keras-torch; and cpu, mps
    python -m benchmarks.on_device torch cpu 64 32 8   # images, pixels a side, images a batch

Printed: seconds of an epoch by this project's `fit`, fed from image files, and by the plainest loop of the framework
(PyTorch: a loop over tensors on the device; Keras: ``model.fit`` on an array in memory), medians of three after the one
that compiles, and their ratio. Random weights, full width, the full preset's size unless said otherwise.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np

from compare.cells.settings import PRESETS
from compare.data import Batches, Stream, load, split
from compare.data.ahead import Ahead
from compare.frameworks import FRAMEWORKS, Framework, device
from compare.processes.environment import threads
from compare.processes.worker import Worker
from compare.spec import POLICIES

REPEATS = 3


def epochs(framework: Framework, images: int, size: int, batch_size: int) -> tuple[list[float], list[float]]:
    """Time epochs by `fit` and by the plainest loop; called in the framework's own process."""
    side, data = framework.implementation, load("elpv")
    train, val = split(data, 0, images)
    stream = Stream(data, train, val, size, batch_size, 0, "caffe")
    side.training.start(0)
    model = framework.placed(side.transfer.build("resnet50", "v1", 1.0))
    side.bn_policy.apply(model, side.bn_policy.Policy(**POLICIES["fine-tune"].facts))
    optimizer = side.optimizers.adam(model, 1e-3, "native", None)
    clocks = [time.perf_counter()]

    def batches(epoch: int) -> Any:
        return stream.epoch(epoch) if device() == "cpu" else Ahead(stream.epoch(epoch))

    def after_epoch(epoch: int, logs: dict) -> float:
        clocks.append(time.perf_counter())
        return 0.0

    side.training.fit(
        model, optimizer, batches, epochs=1 + REPEATS, patience=1 + REPEATS, after_epoch=after_epoch
    )
    return np.diff(clocks)[1:].tolist(), _plain(framework, model, optimizer, stream.epoch(0))


def _plain(framework: Framework, model: Any, optimizer: Any, batches: Batches) -> list[float]:
    pairs = [batches[step] for step in range(len(batches))]
    took = []
    run = _plain_torch(model, optimizer, pairs) if framework.side == "torch" else _plain_keras(model, pairs)
    for _ in range(1 + REPEATS):
        clock = time.perf_counter()
        run()
        took.append(time.perf_counter() - clock)
    return took[1:]


def _plain_torch(model: Any, optimizer: Any, pairs: list) -> Any:
    import torch
    import torch.nn.functional as F

    there = [[torch.from_numpy(array).to(device()) for array in pair] for pair in pairs]
    model.train()

    def run() -> None:
        for images, labels in there:
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(model.logits(images.permute(0, 3, 1, 2)), labels)
            loss.backward()
            optimizer.step()
        loss.item()

    return run


def _plain_keras(model: Any, pairs: list) -> Any:
    images, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    model.compile("adam", "binary_crossentropy")
    return lambda: model.fit(images, labels, batch_size=len(pairs[0][0]), shuffle=False, verbose=0)


def main(name: str = "torch", where: str = "cpu", *numbers: str) -> None:
    """Print the ratio of one framework on one device."""
    preset = PRESETS["full"]
    usual = (preset.images or 1_000, preset.image_size, preset.batch_size)
    images, size, batch_size = (*map(int, numbers), *usual[len(numbers) :])
    with Worker(FRAMEWORKS[name], threads(), device=where) as worker:
        own, plain = worker.call(epochs, FRAMEWORKS[name], images, size, batch_size)
    ours, theirs = statistics.median(own), statistics.median(plain)
    print(
        f"{FRAMEWORKS[name].label} on {where}, {images} images, {size} px, {batch_size} a batch: an epoch"
        f" {ours:.2f} s, the plainest loop {theirs:.2f} s, ratio {ours / theirs:.2f}"
    )


if __name__ == "__main__":
    from benchmarks import on_device  # as a module that a worker can import, which `__main__` isn't

    on_device.main(*sys.argv[1:])
