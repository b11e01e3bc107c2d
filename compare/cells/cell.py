"""One cell, start to end, for either implementation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from math import isfinite
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from compare.cells.courses import Courses, Passed, can_follow, course
from compare.cells.models import Models
from compare.cells.settings import Settings
from compare.cells.work import Task, Trained
from compare.data import Batches, Stream, kept, split
from compare.data.ahead import Ahead
from compare.frameworks import FRAMEWORKS, device
from compare.gap.evaluations import BodyAndHead, BodyPasses, Parts
from compare.gap.events import EpochDone, Event, StepDone
from compare.gap.explaining import explain
from compare.gap.features import Features, FeatureStream
from compare.gap.records import CellResult, Epoch, Explanation, Status
from compare.gap.sample import Bounds, bounds, images_of
from compare.processes.environment import large_blocks_given_back
from compare.spec import POLICIES, Cell, Policy
from compare.wings import Implementation

FRESH_BATCHES = 10
COURSES, MODELS = Courses(), Models()

Report = Callable[[Event], None]


def run_cell(cell: Cell, task: Task, report: Report) -> Trained:
    """Train one cell and evaluate it after every epoch on the batches that the epoch trained on.

    Args:
        cell: which training.
        task: what the run's cells share.
        report: is called with the progress, step by step and epoch by epoch.
    """
    framework, policy = FRAMEWORKS[cell.framework], POLICIES[cell.policy]
    side = framework.implementation
    settings, start = task.settings, task.start
    stream = _stream(task, cell.seed)
    model = MODELS.start(framework, cell, start, settings.release, task.data.outputs)
    limits = bounds(start.width, settings.image_size, settings.batch_size)
    if policy.reestimate == "before-fit":
        _recalibrate(side, model, stream.images("train"), limits)
    side.bn_policy.apply(model, side.bn_policy.Policy(**policy.facts))

    training = _Training(
        MODELS.parts(side, policy.evaluate_statistics), policy, stream, settings, limits, cell.name
    )
    status, reason = Status.FINISHED, ""
    key = (course(cell), settings, start) if course(cell) else None
    passed = COURSES.get(key) if key and can_follow(cell, settings) else None
    try:
        if passed:
            training.follow(passed, report)
        else:
            trained = training.run(cell.numerics, report)
            if key:
                COURSES.keep(key, trained)
    except side.training.NonFiniteLossError as error:
        status, reason = Status.NOT_FINITE, str(error)
    ended_well = status is Status.FINISHED
    fresh = training.evaluate(stream.fresh(FRESH_BATCHES))[0] if ended_well else {}
    explanations = training.explanations(at_its_end=ended_well)
    history = tuple(training.history)
    result = CellResult(
        **asdict(cell),
        status=status,
        reason=reason,
        epochs=len(history),
        best_epoch=training.best_epoch,
        history=history,
        fresh=fresh,
        explanations=explanations,
    )
    return Trained(result, training.checkpoint)


class _Training:
    """A training under way: what is trained, what is evaluated, and what has been seen so far.

    Attributes:
        history: the epochs so far.
        best_epoch: the one with the least val_loss; 0 before the first.
        checkpoint: its weights, as a safetensors file.
    """

    def __init__(
        self, parts: Parts, policy: Policy, stream: Stream, settings: Settings, limits: Bounds, name: str
    ) -> None:
        self.parts, self.side, self.model, self.name = parts, parts.side, parts.model, name
        self.policy, self.stream, self.settings, self.limits = policy, stream, settings, limits
        self.history: list[Epoch] = []
        self.best_epoch, self._best_val_loss = 0, float("inf")
        self.checkpoint: bytes | None = None
        self._random = [self.side.replay.random_state(self.model)]  # at each epoch's start
        self._passed: list[Passed] = []
        self._explained: dict[int, Explanation] = {}
        self._features: FeatureStream | None = None
        if policy.fixed_in_fit or policy.fixed_in_evaluate:  # each image's features once, not once an epoch
            self._features = FeatureStream(stream, self._extract)
        self._evaluated = self._best_evaluated = self._features_now()

    def run(self, numerics: str, report: Report) -> tuple[Passed, ...]:
        """Train to the end, or until the loss isn't finite; return what a cell of the same course goes by."""
        settings, model = self.settings, self.model
        batches: Callable[[int], Sequence] = self._epoch
        if self._features is not None and self.policy.fixed_in_fit:
            model, batches = self.parts.head, self._features.epoch
        self.side.training.fit(
            model,
            self.side.optimizers.adam(model, settings.learning_rate, numerics, settings.release),
            batches,
            epochs=settings.epochs,
            patience=settings.patience,
            reduce_lr=settings.reduce_lr,
            after_step=lambda epoch, step, loss: report(
                StepDone(epoch + 1, settings.epochs, step + 1, self.stream.steps, float(loss))
            ),
            after_epoch=lambda epoch, logs: self._after_own_epoch(epoch, logs, report),
        )
        return tuple(self._passed)

    def _epoch(self, epoch: int) -> Sequence:
        """The batches of an epoch, as `fit` gets them."""
        return _ahead(self.stream.epoch(epoch))

    def _extract(self, batches: Batches) -> np.ndarray:
        """The features of batches of images, in the mode of `evaluate`."""
        return self.side.replay.features(self.parts.body, _ahead(batches))

    def _features_now(self) -> Features:
        """The features in `evaluate` of the model as it is: the same ones throughout, where they can't change."""
        fixed = self._features if self.policy.fixed_in_evaluate else None
        return fixed if fixed is not None else Features(self._extract)

    def follow(self, passed: Sequence[Passed], report: Report) -> None:
        """Go by what another training of the same course did, epoch by epoch, in place of doing it again."""
        self._passed = list(passed)
        for epoch, at_end in enumerate(passed):
            self.side.weights.from_arrays(self.parts.head, at_end.head)
            self._after_epoch(epoch, at_end.logs, at_end.random, report)

    def evaluate(self, *several: Batches) -> list[dict[str, float]]:
        """Evaluate on batches of images, several one after another.

        By way of their features where an image's don't depend on its batch: it then passes through the backbone once,
        however often it is shown, and not at all where its features can't have changed since it last did.
        """
        evaluate, parts = self.side.training.evaluate, self.parts
        if not self.policy.apart_in_evaluate:
            return [evaluate(parts.evaluated, _ahead(batches)) for batches in several]
        self._evaluated.add(self.stream.each_of(several))
        return [evaluate(parts.evaluated_head, self._evaluated.of(batches)) for batches in several]

    def explanations(self, at_its_end: bool) -> tuple[Explanation, ...]:
        """Explain the gaps of the best and the last epoch, those that aren't yet.

        Args:
            at_its_end: whether the model is still as the last epoch left it. Afterwards it is the best one's.
        """
        best, last = self.best_epoch, len(self.history)
        if self.settings.explain != "nothing" and last:
            if at_its_end and last not in self._explained:
                self._explain(last, self._evaluated)
            if self.checkpoint is not None and best not in self._explained:
                self.side.weights.from_arrays(self.model, load(self.checkpoint))
                self._explain(best, self._best_evaluated)
        reasons = {last: "last", best: "best"} if best != last else {best: "best and last"}
        return tuple(
            replace(explanation, reason=reasons.get(epoch, explanation.reason))
            for epoch, explanation in sorted(self._explained.items())
        )

    def _explain(self, epoch: int, evaluated: Features) -> None:
        row, batches = self.history[epoch - 1], self.stream.epoch(epoch - 1)
        known = (
            self._features.of(batches) if self._features is not None and self.policy.fixed_in_fit else None
        )
        has_bn = bool(self.side.statistics.batch_norms(self.model))
        trained = BodyAndHead(
            self.parts,
            batches,
            self._random[epoch - 1],
            self.limits,
            by_batch=has_bn and self.policy.fit_statistics == "batch",
            known=known,
            evaluated=evaluated,
            passes=self._passed[epoch - 1].passes if self._passed else BodyPasses(),
        )
        steps = epoch * self.stream.steps
        self._explained[epoch] = explain(
            trained, row.fit, row.evaluate, self.policy.behaviour, epoch=epoch, steps=steps, name=self.name
        )

    def _after_own_epoch(self, epoch: int, logs: dict, report: Report) -> float:
        random = self.side.replay.random_state(self.model)
        if self.policy.trains == "head":
            head = self.side.weights.to_arrays(self.parts.head)
            self._passed.append(Passed(dict(logs), head, random))
        return self._after_epoch(epoch, logs, random, report)

    def _after_epoch(self, epoch: int, logs: dict, random: Any, report: Report) -> float:
        fit = {name: value for name, value in logs.items() if name != "learning_rate"}
        batches = self.stream.epoch(epoch)
        self._evaluated = self._features_now()
        if self.policy.reestimate == "before-evaluate":
            _recalibrate(self.side, self.model, batches, self.limits)
        evaluate, val = self.evaluate(batches, self.stream.validation())
        # the epoch's losses were finite, and its last step was one too far
        if not (isfinite(evaluate["loss"]) and isfinite(val["loss"])):
            raise self.side.training.NonFiniteLossError(epoch + 1, self.stream.steps)
        self.history.append(
            Epoch(epoch + 1, logs["learning_rate"], fit, evaluate, val, len(batches.all_indices))
        )
        if val["loss"] < self._best_val_loss:
            self.best_epoch, self._best_val_loss = epoch + 1, val["loss"]
            self.checkpoint = save(self.side.weights.to_arrays(self.model))
            self._best_evaluated = self._evaluated
        if self.settings.explain == "every-epoch":
            self._explain(epoch + 1, self._evaluated)
        self._random.append(random)
        report(EpochDone(epoch + 1, self.settings.epochs, fit["loss"], evaluate["loss"], val["loss"]))
        return val["loss"]


def _ahead(batches: Batches) -> Sequence:
    """The batches, made while an accelerator is at those before them; the CPU has nothing to gain by it."""
    return batches if device() == "cpu" else Ahead(batches)


def _recalibrate(side: Implementation, model: Any, batches: Batches, limits: Bounds) -> None:
    """Re-estimate the moving statistics on the batches, or on as many of their images as fit in memory."""
    with large_blocks_given_back():
        side.statistics.recalibrate(model, *images_of(batches, limits.population))


def _stream(task: Task, seed: int) -> Stream:
    """The cell's batches; the images that a cell before has decoded in this process are there."""
    data, settings = kept(task.data), task.settings
    train, val = split(data, seed, settings.images)
    return Stream(data, train, val, settings.image_size, settings.batch_size, seed, task.start.preprocessing)
