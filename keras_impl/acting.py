"""Say of each layer what it does in training and in evaluation, as it was seen to do it."""

import keras
import numpy as np

from . import watching
from .asking import asks, baked_in, frozen
from .batches import made_up
from .evidence import Layer
from .switches import Switches


def observe(switches, objective, batches):
    """Watch a few batches pass, and describe every layer that acts differently in training or that normalises.

    Args:
        switches: of the model, whose sites are filled in.
        objective: the model's `objectives.Objective`.
        batches: one or more.
    """
    watching.watch(switches, objective, batches)
    trainable = objective.trainable(batches)
    baked, steps = baked_in(switches.model), _steps(switches.model)
    found = [site for site in switches.sites if site.role is not None]
    rows = [_row(site, trainable, baked, steps) for site in found]
    return sorted(rows, key=lambda row: row.order)


def alone(model):
    """Describe every layer by what it does with inputs made up for the model."""
    return observe(Switches(model), _OutputsAlone(model), [made_up(model)])


def faults(mean, variance):
    """What is wrong with statistics, in words."""
    found = []
    for name, values in (("means", mean), ("variances", variance)):
        for what, wrong in (("NaN", np.isnan(values)), ("infinity", np.isinf(values))):
            if wrong.any():
                found.append(f"{what} in {int(wrong.sum())} of {wrong.size} {name}")
    if (variance < 0).any():
        found.append(f"a negative value in {int((variance < 0).sum())} of {variance.size} variances")
    return tuple(found)


class _OutputsAlone:
    """An objective without a loss, for a model that nobody has given data for."""

    def __init__(self, model):
        self.model = model

    def trainable(self, batches):
        return {id(v) for v in self.model.trainable_variables}

    def watched(self, batch, training):
        options = {"training": training} if self.model._call_has_training_arg else {}
        return self.model(batch, **options)


def _row(site, trainable, baked, steps):
    layer = site.layer
    own = layer._trainable_variables
    trains = any(id(v) in trainable for v in own)
    facts = {}
    if site.owned:
        mean, variance = site.owned.stored()
        facts = {
            "mean": mean, "variance": variance, "faults": faults(mean, variance), "decay": site.owned.decay,
            "virgin": _virgin(layer, mean, variance), "by_hand": not hasattr(layer, "moving_mean"),
            "steps": steps * max(1, len(site.fit)) if site.moves[0] and steps else None,
        }  # fmt: skip
    asked, why = asks(site, baked, trains and facts.get("virgin", False))
    on, off = ("batch" if layer.trainable else "moving", "moving") if site.owned else ("on", "off")
    by_sample = site.role == "normalisation" and not site.owned
    flags = [None if ask is None or by_sample else on if ask else off for ask in asked]
    return Layer(
        site.name, type(layer).__name__, site.role, switch=site.switch, trains=trains, parameters=bool(own),
        frozen=site.role == "normalisation" and frozen(site, trainable), fit=site.uses[0], evaluate=site.uses[1],
        flag_fit=flags[0], flag_evaluate=flags[1], moves=site.moves[0], moves_in_evaluation=site.moves[1],
        calls=len(site.fit), epsilon=getattr(layer, "epsilon", None), override=why, order=site.order, **facts,
    )  # fmt: skip


def _steps(model):
    """How many steps the model's optimizer has made; 0 where it doesn't say."""
    iterations = getattr(getattr(model, "optimizer", None), "iterations", None) if model.compiled else None
    return 0 if iterations is None else int(keras.ops.convert_to_numpy(iterations))


def _virgin(layer, mean, variance):
    """Whether statistics are still exactly as they were made."""
    begins = []
    for name, values, usual in (("mean", mean, 0.0), ("variance", variance, 1.0)):
        initializer = getattr(layer, f"moving_{name}_initializer", None)
        made = np.full(values.shape, usual) if initializer is None else initializer(values.shape)
        begins.append(np.array_equal(np.asarray(keras.ops.convert_to_numpy(made), np.float64), values))
    return all(begins)
