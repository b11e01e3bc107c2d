"""The figures that a person saw: a History, a dictionary, what `watch` recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

from compare.spec import InputError


@dataclass(frozen=True)
class Reported:
    """What training and evaluation are said to have given.

    Attributes:
        fit, evaluate: name of a figure, ``loss`` for one -> value.
        given: all of it, as it was given.
        batch_size: of `fit`, where a History knows it.
        steps: batches of an epoch of `fit`, where a History knows them.
        losses: of the last epoch, a batch each, where `watch` or a callback recorded them.
        modes: path -> whether a module was in training mode inside the step, where that was recorded.
        trained: names of the parameters that an optimizer's steps changed, where those were seen.
        batches: of the last epoch, the hash of each sample's inputs, where that was recorded.
        validation: whether evaluation's loss is what `fit` said of its validation data.
        plain: whether both are known to be means over the samples, of the weights that are measured: nothing but
            weights that moved can lie between training's figure and a pass as in training.
    """

    fit: dict[str, float] = field(default_factory=dict)
    evaluate: dict[str, float] = field(default_factory=dict)
    given: dict[str, float] = field(default_factory=dict)
    batch_size: int | None = None
    steps: int | None = None
    losses: tuple[float, ...] = ()
    modes: dict[str, bool] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()
    batches: tuple[tuple[str, ...], ...] = ()
    plain: bool = False
    validation: bool = False

    def gap(self) -> float:
        """Evaluate minus fit, of the loss; NaN where one isn't there."""
        return self.evaluate.get("loss", nan) - self.fit.get("loss", nan)


def read(given: Any) -> Reported:
    """Read the figures.

    Raises:
        InputError: something isn't a figure, or no loss is among them.
    """
    if given is None:
        return Reported()
    if isinstance(given, Reported):
        return given
    extra: dict[str, Any] = {}
    for name in ("losses", "modes", "trained", "batches"):
        if getattr(given, name, None):
            extra[name] = getattr(given, name)
    params = getattr(given, "params", None)
    for name in ("batch_size", "steps"):
        if isinstance(params, Mapping) and params.get(name):
            extra[name] = int(params[name])
    values = (
        given if isinstance(given, Mapping) else getattr(given, "history", getattr(given, "figures", None))
    )
    if not isinstance(values, Mapping):
        raise InputError(
            f"reported is {type(given).__name__}; it must be a dictionary of figures or a History"
        )
    figures = {str(name): _figure(value) for name, value in values.items() if _is_figure(value)}
    wrong = [name for name, value in values.items() if not _is_figure(value)]
    if wrong and not figures:
        raise InputError(f"reported: {wrong[0]} is no number")
    fit, evaluate = {}, {}
    for name, value in figures.items():
        bare = name.removeprefix("evaluate_")
        if bare == name and name.startswith(("val_", "eval_")):
            bare = name.partition("_")[2]
        if bare == name:
            fit[name.removeprefix("train_")] = value
        elif name.startswith("evaluate_") or bare not in evaluate:
            evaluate[bare] = value
    if figures and isinstance(given, Mapping) and "loss" not in fit | evaluate:
        raise InputError(
            f"reported has {', '.join(figures)}, but neither fit's figure as loss nor evaluate's as evaluate_loss"
        )
    listed = isinstance(values.get("val_loss"), list | tuple) and "evaluate_loss" not in figures
    return Reported(fit, evaluate, figures, validation=listed, **extra)


def _is_figure(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and _is_figure(value[-1])
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _figure(value: Any) -> float:
    return float(value[-1]) if isinstance(value, list | tuple) else float(value)
