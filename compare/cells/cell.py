"""One cell, start to end, for either implementation."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from compare.data import Stream, load, split
from compare.frameworks import FRAMEWORKS
from compare.gap.evaluations import Split, samples
from compare.gap.features import FeatureStream
from compare.gap.terms import Facts, explain
from compare.spec import POLICIES, Cell, Policy, Settings
from compare.wings import Implementation

FRESH_BATCHES = 10
# Population statistics are exact because all their images pass through the network side by side. An image of 224
# pixels takes 10 MB in a full-width ResNet50 (measured: 0.45 MB at 96 pixels and quarter width). An explanation
# makes do with fewer images than a recalibration: 320 of the quick preset's 640 move a term by 0.001.
STATISTICS_BYTES, BYTES_AN_IMAGE = 1.25e9, 10e6
EXPLANATION_IMAGES = 320


def run_cell(cell: Cell, settings: Settings, run_dir: Path, report: Callable[[dict], None]) -> dict:
    """Train one cell and evaluate it after every epoch on the batches that the epoch trained on.

    Args:
        cell: which training.
        settings: what the run's cells share.
        run_dir: holds ``weights.safetensors``; the best checkpoint goes to the cell's folder in it.
        report: is called with the progress, step by step and epoch by epoch.

    Returns:
        The cell's result: its coordinates, ``status``, ``epochs``, ``best_epoch``, ``history``, ``fresh``,
        ``explanations``.
    """
    side, policy = FRAMEWORKS[cell.framework].implementation, POLICIES[cell.policy]
    weights = run_dir / "weights.safetensors"
    stream = _stream(settings, cell.seed, _facts(weights)["preprocessing"])
    side.training.start(cell.seed)
    model = start_model(side, cell, weights, settings.release)
    if policy.reestimate == "before-fit":
        _recalibrate(side, model, stream.images("train"), settings, weights)
    side.bn_policy.apply(model, side.bn_policy.Policy(**policy.facts))

    checkpoint = run_dir / "cells" / cell.name / "best.safetensors"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    training = _Training(side, policy, model, stream, settings, weights, checkpoint, report)
    status = "finished"
    try:
        training.run(cell.numerics)
    except side.training.NonFiniteLossError as error:
        status = f"failed: {error}"
    fresh = training.evaluate(stream.fresh(FRESH_BATCHES)) if status == "finished" else {}
    explanations = training.explanations(at_its_end=status == "finished")
    return {
        "framework": cell.framework,
        "backbone": cell.backbone,
        "policy": cell.policy,
        "numerics": cell.numerics,
        "seed": cell.seed,
        "status": status,
        "epochs": len(training.history),
        "best_epoch": training.best_epoch,
        "history": training.history,
        "fresh": fresh,
        "explanations": explanations,
    }


def start_model(side: Implementation, cell: Cell, weights: Path, release: str | None = None) -> Any:
    """Build the cell's transfer model, with the arrays that both frameworks start from and a release's arithmetic."""
    facts, options = _facts(weights), {"numerics": cell.numerics, "seed": cell.seed, "release": release}
    model = side.transfer.build(cell.backbone, facts["variant"], float(facts["width"]), **options)
    backbone, head = side.transfer.parts(model)
    side.weights.from_arrays(backbone, load_file(weights))
    side.weights.from_arrays(head, head_arrays(side.weights.to_arrays(head), cell.seed))
    return model


def head_arrays(like: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Draw a new head: Glorot-uniform kernels and zero biases, float32, shaped as in ``like``."""
    rng = np.random.default_rng([seed, 1])
    arrays = {}
    for name, array in sorted(like.items()):
        limit = np.sqrt(6 / sum(array.shape)) if name.endswith("/kernel") else 0.0
        arrays[name] = rng.uniform(-limit, limit, array.shape).astype(np.float32)
    return arrays


class _Training:
    """A training under way: what is trained, what is evaluated, and what has been seen so far."""

    def __init__(self, side, policy: Policy, model, stream, settings: Settings, weights, checkpoint, report):
        self.side, self.policy, self.model, self.stream = side, policy, model, stream
        self.settings, self.weights, self.checkpoint, self.report = settings, weights, checkpoint, report
        self.history: list[dict] = []
        self.random = [side.replay.random_state(model)]  # at each epoch's start
        self.explained: dict[int, dict] = {}
        self.best_epoch, self.best_val_loss = 0, float("inf")
        self.body = side.transfer.body(model)
        self.features: FeatureStream | None = None
        if policy.fixed_in_fit or policy.fixed_in_evaluate:  # each image's features once, not once an epoch
            self.features = FeatureStream(stream, lambda b: side.training.extract_features(model, b))

    def run(self, numerics: str) -> None:
        model, batches = self.model, self.stream
        if self.features is not None and self.policy.fixed_in_fit:
            model, batches = self.side.transfer.parts(self.model)[1], self.features
        self.side.training.fit(
            model,
            self.side.optimizers.adam(model, self.settings.learning_rate, numerics, self.settings.release),
            batches.epoch,
            epochs=self.settings.epochs,
            patience=self.settings.patience,
            reduce_lr=self.settings.reduce_lr,
            after_step=self._after_step,
            after_epoch=self._after_epoch,
        )

    def evaluate(self, batches) -> dict[str, float]:
        """Evaluate on batches of images, by way of their features where those can't have changed."""
        if self.features is not None and self.policy.fixed_in_evaluate:
            head = self.side.transfer.parts(self.model)[1]
            return self.side.training.evaluate(head, self.features.of(batches))
        return self.side.training.evaluate(self.model, batches)

    def explanations(self, at_its_end: bool) -> list[dict]:
        """Explain the gaps of the best and the last epoch, those that aren't yet.

        Args:
            at_its_end: whether the model is still as the last epoch left it. Afterwards it is the best one's.
        """
        best, last = self.best_epoch, len(self.history)
        if self.settings.explain != "nothing" and last:
            if at_its_end and last not in self.explained:
                self._explain(last)
            if best and best not in self.explained:
                self.side.weights.from_arrays(self.model, load_file(self.checkpoint))
                self._explain(best)
        reasons = {last: "last", best: "best"} if best != last else {best: "best and last"}
        return [
            {"epoch": epoch, "reason": reasons.get(epoch, "asked"), **self.explained[epoch]}
            for epoch in sorted(self.explained)
        ]

    def _explain(self, epoch: int) -> None:
        policy, row, batches = self.policy, self.history[epoch - 1], self.stream.epoch(epoch - 1)
        neighbours = policy.fit_statistics == "batch" and bool(self.side.statistics.batch_norms(self.model))
        known = self.features.of(batches) if self.features is not None and policy.fixed_in_fit else None
        most = min(EXPLANATION_IMAGES, _most_images(self.settings, self.weights))
        random = self.random[epoch - 1]
        trained = Split(
            self.side, self.model, self.body, self.stream, batches, random, neighbours, most, known
        )
        facts = Facts(
            policy.fit_statistics, policy.evaluate_statistics, policy.updates, epoch * self.stream.steps
        )
        self.explained[epoch] = explain(trained, row["fit"], row["evaluate"], facts)

    def _after_step(self, epoch: int, step: int, loss: float) -> None:
        place = {
            "epoch": epoch + 1,
            "epochs": self.settings.epochs,
            "step": step + 1,
            "steps": self.stream.steps,
        }
        self.report({"event": "step", **place, "fit_loss": loss})

    def _after_epoch(self, epoch: int, logs: dict) -> float:
        fit = {name: value for name, value in logs.items() if name != "learning_rate"}
        batches = self.stream.epoch(epoch)
        if self.policy.reestimate == "before-evaluate":
            _recalibrate(self.side, self.model, batches, self.settings, self.weights)
        evaluate, val = self.evaluate(batches), self.evaluate(self.stream.validation())
        row = {"epoch": epoch + 1, "learning_rate": logs["learning_rate"]}
        self.history.append({**row, "fit": fit, "evaluate": evaluate, "val": val})
        if val["loss"] < self.best_val_loss:
            self.best_epoch, self.best_val_loss = epoch + 1, val["loss"]
            save_file(self.side.weights.to_arrays(self.model), self.checkpoint)
        if self.settings.explain == "every-epoch":
            self._explain(epoch + 1)
        self.random.append(self.side.replay.random_state(self.model))
        losses = {"fit_loss": fit["loss"], "evaluate_loss": evaluate["loss"], "val_loss": val["loss"]}
        self.report({"event": "epoch", "epoch": epoch + 1, "epochs": self.settings.epochs, **losses})
        return val["loss"]


def _recalibrate(side: Implementation, model, batches, settings: Settings, weights: Path) -> None:
    """Re-estimate the moving statistics on the batches, or on as many of their images as fit in memory."""
    side.statistics.recalibrate(model, *samples(batches, _most_images(settings, weights)))


def _most_images(settings: Settings, weights: Path) -> int:
    """How many images may pass the network side by side."""
    image = BYTES_AN_IMAGE * float(_facts(weights)["width"]) * (settings.image_size / 224) ** 2
    return max(settings.batch_size, int(STATISTICS_BYTES / image))


def _facts(weights: Path) -> dict[str, str]:
    with safe_open(weights, "numpy") as file:
        return file.metadata()


@lru_cache(maxsize=4)
def _stream(settings: Settings, seed: int, preprocessing: str) -> Stream:
    data = _data(settings.data, settings.positive, settings.skip_unreadable)
    train, val = split(data, seed, settings.images)
    return Stream(data, train, val, settings.image_size, settings.batch_size, seed, preprocessing)


@lru_cache(maxsize=1)
def _data(*arguments):
    """The data set, once a worker: its cache of decoded images is what may take memory."""
    return load(*arguments)
