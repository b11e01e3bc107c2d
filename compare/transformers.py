"""Diagnose a Hugging Face model in training: ``Trainer(..., callbacks=[compare.transformers.Diagnose()])``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from transformers import Trainer, TrainerCallback

from compare.diagnosis.diagnosis import diagnose
from compare.diagnosis.records import Diagnosis
from compare.torch import Watching

__all__ = ["Diagnose"]


class Diagnose(TrainerCallback):
    """Diagnose the model at the end of training. The trainer's own figures are the same with it.

    Modes and samples of each batch are noted inside the step; nothing is evaluated before training is over.

    Args:
        model: what `compare.diagnose` is to take; None takes the trainer that calls, with its own ``compute_loss``.
        data: what training sees; None takes the trainer's own loader.
        evaluate_data: what evaluation sees; None takes the trainer's own loader where it has evaluated, and of several
            datasets the first.
        verbose: whether the diagnosis is printed.
        options: of `compare.diagnose`, such as ``limit`` and ``step``.

    Attributes:
        diagnosis: the answer; None before there is one.
    """

    def __init__(
        self,
        model: Any = None,
        data: Any = None,
        evaluate_data: Any = None,
        verbose: bool = True,
        **options: Any,
    ) -> None:
        self.model, self.data, self.evaluate_data = model, data, evaluate_data
        self.verbose, self.options = verbose, options
        self.diagnosis: Diagnosis | None = None
        self._watching: Watching | None = None
        self._handle: Any = None

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Forget the epoch before, and watch this one."""
        self._stop()
        self._watching = Watching(kwargs["model"])
        self._handle = kwargs["model"].register_forward_pre_hook(self._watching.called, with_kwargs=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note that a step is over; its loss is the trainer's to tell."""
        if self._watching is not None:
            self._watching.seen.step()

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note that a micro-batch is over."""
        self.on_step_end(args, state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Watch no longer."""
        self._stop()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Diagnose."""
        self._stop()
        if self._watching is None:
            return
        best = args.load_best_model_at_end and state.best_model_checkpoint
        at = state.best_global_step if best else state.global_step
        figures = figures_of(state.log_history, at, state.max_steps / max(1, state.num_train_epochs))
        trainer: Any = _calling(self)
        evaluate_data, notes = self.evaluate_data, list[str]()
        if evaluate_data is None and (first := _first(trainer, figures)) is not None:
            evaluate_data = trainer.get_eval_dataloader(trainer.eval_dataset[first])
            figures = _of_one(figures, first)
            notes.append(
                f"There are {len(trainer.eval_dataset)} evaluation datasets: evaluation is that of the first, {first}."
                " Another one is diagnosed where it is given as evaluate_data."
            )
        if evaluate_data is None and "eval_loss" in figures:
            evaluate_data = kwargs.get("eval_dataloader")
        if evaluate_data is None:
            figures.pop("eval_loss", None)
        self.diagnosis = diagnose(
            self.model if self.model is not None else trainer or kwargs["model"],
            kwargs["train_dataloader"] if self.data is None else self.data,
            evaluate_data=evaluate_data,
            reported=self._watching.seen.reported(figures),
            **self.options,
        )
        self.diagnosis = replace(self.diagnosis, notes=(*self.diagnosis.notes, *notes))
        self._watching = None
        if self.verbose and state.is_world_process_zero:
            print(self.diagnosis)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None


def _calling(callback: TrainerCallback) -> Trainer | None:
    """The trainer that has just called a callback; None where nobody does.

    It hands its callbacks all that it has but itself, and its loss is its own to compute: it is found among those who
    wait for the call to return.
    """
    frame = sys._getframe()
    while frame is not None:
        held = frame.f_locals.get("self")
        if isinstance(held, Trainer) and any(one is callback for one in held.callback_handler.callbacks):
            return held
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _first(trainer: Any, figures: Mapping[str, float]) -> str | None:
    """The name of the first of several evaluation datasets, where it was evaluated."""
    several = getattr(trainer, "eval_dataset", None)
    first = next(iter(several), None) if isinstance(several, Mapping) else None
    return first if f"eval_{first}_loss" in figures else None


def _of_one(figures: Mapping[str, float], name: str) -> dict[str, float]:
    """The figures of training, and of one of several evaluation datasets by its name."""
    own = f"eval_{name}_"
    mine = {f"eval_{key.removeprefix(own)}": value for key, value in figures.items() if key.startswith(own)}
    return {key: value for key, value in figures.items() if not key.startswith("eval_")} | mine


def figures_of(history: Sequence[dict[str, float]], at: int, epoch: float) -> dict[str, float]:
    """The figures that are of a step: training's mean since it was logged last, where that is an epoch at most."""
    found: dict[str, float] = {}
    before = 0
    for entry in history:
        step = int(entry["step"])
        if "loss" in entry:
            if step <= at and step - before <= epoch + 1:
                found["loss"] = entry["loss"]
            before = step
        if step == at:
            found |= {name: value for name, value in entry.items() if _is_evaluations(name)}
    return found


def _is_evaluations(name: str) -> bool:
    return name.startswith("eval_") and not name.endswith(("_runtime", "_per_second", "_time"))
