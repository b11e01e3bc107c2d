"""The metrics that a model is compiled with: they count on from batch to batch, and here otherwise for a while.

DIFFERS: what PyTorch's metrics come to is computed from a batch's outputs; a module counts nothing.
"""

from contextlib import contextmanager

import keras
import numpy as np

from .keeping import metrics_kept, value, variables_kept


@contextmanager
def tallying(model):
    """Count a pass of batches from nothing; what the metrics held comes back at the end."""
    with metrics_kept(model):
        _reset(model)
        yield


@contextmanager
def apart(model):
    """Count what happens inside from nothing; at the end what was counted before comes on top."""
    before = {id(v): value(v) for v in _states(model)}
    _reset(model)
    begun = {id(v): value(v) for v in _states(model)}
    yield
    for variable in _states(model):
        if (held := before.get(id(variable))) is not None:
            now, start = value(variable), begun[id(variable)]
            # what was counted is a sum; what nobody counted may be anything, such as a least value's infinity
            variable.assign(held if np.array_equal(now, start, equal_nan=True) else held + (now - start))


def uncounted(model):
    """Count nothing of what happens inside."""
    return variables_kept(_states(model))


def results(model):
    """What the model's metrics have come to, by the names in a history; nothing where a step of its own uses none."""
    compiled = getattr(model, "_compile_metrics", None)
    if compiled is not None and not compiled.built:
        return {}
    return {
        name: number(figure) for name, figure in flat(model.get_metrics_result()).items() if name != "loss"
    }


def figures(model, steps):
    """What the model's metrics have come to in a pass, inside `tallying`.

    Args:
        model: a compiled model.
        steps: the pass's, an `evidence.Step` each.
    """
    found = results(model)
    if steps and keras.backend.backend() == "tensorflow" and not model.run_eagerly:
        # a graph doesn't know a batch's size when it weights each output's own loss by it
        losses = getattr(model._compile_loss, "metrics", ())
        found |= {
            metric.name: sum(step.metrics[metric.name] for step in steps) / len(steps)
            for metric in losses
            if metric.name in steps[0].metrics
        }
    return found


def flat(figures):
    """Figures by name, those of a metric that gives several among them."""
    found = {}
    for name, figure in figures.items():
        found |= flat(figure) if isinstance(figure, dict) else {name: figure}
    return found


def number(figure):
    """A figure as a Python number; of several their mean."""
    if hasattr(figure, "shape"):
        figure = np.asarray(keras.ops.convert_to_numpy(figure), np.float64).mean()
    return float(figure)


def _reset(model):
    for metric in model.metrics:
        metric.reset_state()


def _states(model):
    """The variables of all metrics, each once."""
    return list({id(v): v for metric in model.metrics for v in metric.variables}.values())
