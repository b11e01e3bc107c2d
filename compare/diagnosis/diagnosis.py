"""`diagnose` and `audit`: one person's model, one answer."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from compare.diagnosis import judging
from compare.diagnosis.asked import asked
from compare.diagnosis.case import Case
from compare.diagnosis.data import Data, batch_size_of, form_of
from compare.diagnosis.frameworks import own_data, side_of
from compare.diagnosis.measuring import measure
from compare.diagnosis.passes import Passes
from compare.diagnosis.records import Audit, Diagnosis
from compare.diagnosis.refusing import one_line
from compare.diagnosis.reported import read
from compare.spec import InputError


def diagnose(
    model: Any,
    data: Any = None,
    *,
    loss: Callable[..., Any] | None = None,
    step: Callable[..., Any] | None = None,
    metrics: dict[str, Callable[..., Any]] | None = None,
    evaluate_data: Any = None,
    reported: Any = None,
    steps: int | None = None,
    limit: int = 320,
    batch_size: int | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Say why ``fit`` and ``evaluate`` part for a model. The model is left exactly as it was, whatever happens.

    Args:
        model: a ``keras.Model``, an ``nn.Module``, a LightningModule, a trainer of Lightning or Hugging Face.
        data: what ``fit`` sees: arrays ``(x, y)`` or ``(x, y, weights)``, samples along the first axis; a dictionary
            of such arrays; anything of batches that can be iterated again; or a function that returns one. A
            trainer's own where it is left out.
        loss: for PyTorch: ``loss(outputs, targets)``, a batch's mean. Keras models and trainers know theirs.
        step: for what ``loss`` can't say: ``step(model, batch)`` returns a batch's mean loss, or a dictionary of
            ``loss`` and, as far as they are known, ``n`` (how many samples), ``outputs`` and ``targets``.
        metrics: name -> ``callable(outputs, targets)``, which returns a batch's figure.
        evaluate_data: what ``evaluate`` sees, where it isn't the same; given like ``data``.
        reported: the figures that were seen: a Keras ``History``, a dictionary such as
            ``{"loss": 0.2, "evaluate_loss": 1.7}``, or what `compare.torch.watch` recorded. Without them nobody can
            say how much of the gap is weights that moved during the epoch.
        steps: how many batches make a pass over ``data``, for data without an end.
        limit: how many samples are held at a time where a measurement needs them all at once.
        batch_size: of ``fit``, for bare arrays; 32 where nobody says.
        seed: of the dropout masks and of the orders that are tried; 0 or more.

    Returns:
        The gap, its terms, findings with cures, and the audit. Losses and terms are in the loss's own unit.

    Raises:
        InputError: something given can't be used; the message says what would be right. It is a `ValueError`.
    """
    _check(
        {"limit": limit, "steps": steps, "batch_size": batch_size},
        {"loss": loss, "step": step},
        metrics,
        seed,
    )
    side, framework = side_of(model)
    data = own_data(model) if data is None else data
    if data is None:
        raise InputError("data is missing: give what fit sees (compare.audit needs none)")
    figures = read(reported)
    known = batch_size or figures.batch_size
    # infinite inputs are measured like any others; NumPy needn't warn of them
    with one_line(), _collecting_own(), np.errstate(invalid="ignore", over="ignore"):
        subject = side.Subject(model, loss=loss, step=step, metrics=metrics, batch_size=known, limit=limit)
        subject.modes, subject.trained = dict(figures.modes), figures.trained
        known = known or subject.facts().batch_size or batch_size_of(data, figures.steps)
        ours = Data(data, "data", known, steps)
        theirs = None if evaluate_data is None else Data(evaluate_data, "evaluate_data", known, None)
        subject.ready(ours)
        before = subject.state()
        with subject.kept():
            passes = Passes(subject, ours, limit, figures.batches)
            others = None if theirs is None else Passes(subject, theirs, limit)
            with _of_two_forms(passes, others):
                measured = measure(subject, passes, others, limit, figures.fit.get("loss"), seed)
            if measured.elsewhere is not None:
                figures = figures.of_weights(measured.elsewhere.figures["loss"])
            case = Case(framework, subject, measured, figures, passes, others, limit, ours.batch_size)
            case.stepped = step is not None
            audited = judging.judge(case)
        after = subject.state()
    found = judging.concluded(case, audited, "same" if before == after else "differs", ours.assumed)
    calls = {"loss": loss, "step": step, "metrics": metrics}
    return replace(found, given=asked(passes, others, figures, calls, limit))


def audit(model: Any) -> Audit:
    """Say what every normalisation layer does, and every other layer that acts differently in training.

    It needs no data: the layers are called on inputs that are made up. The model is left exactly as it was.

    Args:
        model: a ``keras.Model``, an ``nn.Module``, a LightningModule, a trainer of Lightning or Hugging Face.

    Returns:
        A row for each such layer, and what is wrong whatever the data are.

    Raises:
        InputError: ``model`` isn't one. It is a `ValueError`.
    """
    side, framework = side_of(model)
    with one_line():
        subject = side.Subject(model, loss=lambda outputs, targets: outputs)
        with subject.kept():
            return judging.audit(framework, subject.name, subject.layers(None), {})


@contextmanager
def _collecting_own() -> Iterator[None]:
    """Have Python's garbage collector leave alone what was there before: a framework's objects are a million."""
    if gc.get_freeze_count():  # somebody has done so, and says when it ends
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _of_two_forms(fit: Passes, elsewhere: Passes | None) -> Iterator[None]:
    """Say so where evaluation can't take what training takes: a diagnosis evaluates both on the same samples."""
    try:
        yield
    except Exception as error:
        forms = [form_of(next(iter(data)).raw) for data in (fit, elsewhere) if data is not None]
        if len(set(forms)) < 2:
            raise
        raise InputError(
            f"fit's batches are {forms[0]}, evaluation's {forms[1]}, and the model can't evaluate fit's: say with step="
            " what a batch's loss is"
        ) from error


def _check(counts: dict[str, Any], functions: dict[str, Any], metrics: Any, seed: Any) -> None:
    """Refuse an argument of another kind than it must be, by its name."""
    for name, value in counts.items():
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if value is not None and not (whole and int(value) >= 1):
            raise InputError(f"{name} is {value!r}; it must be a whole number, 1 or more")
    if not isinstance(seed, Integral) or int(seed) < 0:
        raise InputError(f"seed is {seed!r}; it must be a whole number, 0 or more")
    for name, value in functions.items():
        if value is not None and not callable(value):
            raise InputError(f"{name} is {type(value).__name__}; it must be a function")
        if isinstance(value, type):
            raise InputError(
                f"{name} is the class {value.__name__}; give an object of it: {value.__name__}()"
            )
    named = metrics is None or (isinstance(metrics, Mapping) and all(map(callable, metrics.values())))
    if not named:
        raise InputError("metrics must be a dictionary of functions: name -> callable(outputs, targets)")
