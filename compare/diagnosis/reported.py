"""The figures that a person saw: a History, a dictionary, what `watch` recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

import numpy as np

from compare.spec import InputError

# relative: how near an epoch's val_loss must come to be of these weights, and how far off the last one's then is
EXACT, OTHER = 2e-5, 1e-3


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
        history: name of a figure -> its values in all epochs, where there are several.
        epoch: the epoch that the figures are of, from 1, where it isn't the last one; None otherwise.
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
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    epoch: int | None = None

    def gap(self) -> float:
        """Evaluate minus fit, of the loss; NaN where one isn't there."""
        return self.evaluate.get("loss", nan) - self.fit.get("loss", nan)

    def of_weights(self, evaluated: float) -> Reported:
        """The figures of the epoch whose weights these are, such as an early stop restores; by default the last one's.

        Args:
            evaluated: what the model's weights give on the validation data.
        """
        said = np.array(self.history.get("val_loss", ()), float)
        if not self.validation or len(said) < 2 or not np.isfinite([*said, evaluated]).all():
            return self
        apart = np.abs(said - evaluated) / max(abs(evaluated), 1e-30)
        best = int(apart.argmin())
        if apart[best] > EXACT or apart[-1] < OTHER:
            return self
        then = {name: values[best] for name, values in self.history.items() if len(values) == len(said)}
        now = read(then)
        return replace(self, fit=now.fit, evaluate=now.evaluate, given=now.given, epoch=best + 1)


def read(given: Any) -> Reported:
    """Read the figures.

    Raises:
        InputError: something isn't a figure.
    """
    if given is None:
        return Reported()
    if isinstance(given, Reported):
        return given
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
    fit, evaluate = _by_phase(figures)
    listed = isinstance(values.get("val_loss"), list | tuple) and "evaluate_loss" not in figures
    epochs = (
        {n: v for n, v in values.items() if isinstance(v, list | tuple) and n in figures} if listed else {}
    )
    return Reported(fit, evaluate, figures, validation=listed, history=epochs, **_recorded(given))


def _recorded(given: Any) -> dict[str, Any]:
    """What a History, or what `watch` recorded, knows beside the figures, by the names that `Reported` has for it."""
    names = ("losses", "modes", "trained", "batches")
    found: dict[str, Any] = {name: getattr(given, name) for name in names if getattr(given, name, None)}
    params = getattr(given, "params", None)
    if isinstance(params, Mapping):
        found |= {name: int(params[name]) for name in ("batch_size", "steps") if params.get(name)}
    return found


def _by_phase(figures: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Figures of training and of evaluation, by their bare names; ``evaluate_`` says more than ``val_``."""
    fit: dict[str, float] = {}
    evaluate: dict[str, float] = {}
    for name, value in figures.items():
        bare = name.removeprefix("evaluate_")
        if bare == name and name.startswith(("val_", "eval_")):
            bare = name.partition("_")[2]
        if bare == name:
            fit[name.removeprefix("train_")] = value
        elif name.startswith("evaluate_") or bare not in evaluate:
            evaluate[bare] = value
    return fit, evaluate


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
