"""Diagnose a LightningModule in training: ``Trainer(callbacks=[compare.lightning.Diagnose()])``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from lightning.pytorch import Callback

from compare.diagnosis.diagnosis import diagnose
from compare.diagnosis.records import Diagnosis
from compare.diagnosis.reported import read
from compare.torch import Watching

__all__ = ["Diagnose"]

# what Lightning adds to a figure's name, before the loader's number, where validation has several
LOADER = "/dataloader_idx_"


class Diagnose(Callback):
    """Diagnose the model at the end of training. The trainer's own figures are the same with it.

    Modes and samples of each batch are noted inside the step; nothing is evaluated before training is over.

    Args:
        data: what training sees; None takes the trainer's own loader.
        evaluate_data: what validation sees; None takes the trainer's own loader where there is one, and the first of
            several.
        verbose: whether the diagnosis is printed.
        options: of `compare.diagnose`, such as ``limit``.

    Attributes:
        diagnosis: the answer; None before there is one.
    """

    def __init__(
        self, data: Any = None, evaluate_data: Any = None, verbose: bool = True, **options: Any
    ) -> None:
        self.data, self.evaluate_data = data, evaluate_data
        self.verbose, self.options = verbose, options
        self.diagnosis: Diagnosis | None = None
        self._watching: Watching | None = None
        self._validated = 0

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Note which step's weights were validated last."""
        self._validated = trainer.global_step

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Forget the epoch before."""
        self._watching = Watching(pl_module)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Note which samples make this batch."""
        if self._watching is not None:
            self._watching.batch(batch)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """Note the modes of the step that has just been made."""
        if self._watching is not None:
            self._watching.modes()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the step's loss."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if self._watching is not None and loss is not None:
            # Lightning hands on the loss divided by the micro-batches of an update
            self._watching.step(loss * trainer.accumulate_grad_batches)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Diagnose."""
        if self._watching is None:
            return
        data = trainer.train_dataloader if self.data is None else self.data
        loaders = _listed(trainer.val_dataloaders)
        evaluate_data, at = self.evaluate_data, 0
        if evaluate_data is None:
            evaluate_data = loaders[0] if loaders else None
        else:
            at = next((i for i, one in enumerate(loaders) if one is evaluate_data), -1)
        seen = self._watching.seen
        figures = _figures(trainer.callback_metrics, at)
        # without data of its own, or of weights that have moved on since, validation's figures say nothing of these
        if evaluate_data is None or self._validated != trainer.global_step:
            figures = {name: value for name, value in figures.items() if not name.startswith("val_")}
        if "loss" not in read(figures).fit:
            figures |= seen.figures
        options = {"steps": _steps(trainer, data), **self.options}
        with trainer.strategy.precision_plugin.forward_context():
            self.diagnosis = diagnose(
                pl_module, data, evaluate_data=evaluate_data, reported=seen.reported(figures), **options
            )
        if self.evaluate_data is None and len(loaders) > 1:
            said = (
                f"Validation has {len(loaders)} loaders: evaluation is that of the first, with the figures of"
                " dataloader_idx_0. Another one is diagnosed where it is given as evaluate_data."
            )
            self.diagnosis = replace(self.diagnosis, notes=(*self.diagnosis.notes, said))
        self._watching = None
        if self.verbose and trainer.is_global_zero:
            print(self.diagnosis)


def _figures(logged: Mapping[str, Any], at: int) -> dict[str, float]:
    """What was logged, by names without ``_epoch`` and ``/``; a step's own figure only where there is no epoch's.

    Of several loaders' figures those of one, by its number.
    """
    of_one = {name.removesuffix(f"{LOADER}{at}"): value for name, value in logged.items()}
    plain = {n.replace("/", "_"): float(value) for n, value in of_one.items() if LOADER not in n}
    found = {name.removesuffix("_step"): v for name, v in plain.items() if name.endswith("_step")}
    return found | {n.removesuffix("_epoch"): v for n, v in plain.items() if not n.endswith("_step")}


def _listed(loaders: Any) -> list[Any]:
    """Validation's loaders, in the order in which Lightning numbers them."""
    if isinstance(loaders, Mapping):
        return list(loaders.values())
    return list(loaders) if isinstance(loaders, list | tuple) else [] if loaders is None else [loaders]


def _steps(trainer: Any, data: Any) -> int | None:
    """Batches of an epoch, where the trainer takes fewer than there are."""
    steps = trainer.num_training_batches
    whole = len(data) if hasattr(data, "__len__") else None
    return int(steps) if isfinite(steps) and steps != whole and not isinstance(data, tuple) else None
