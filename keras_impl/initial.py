"""Find the parameters that are still as an initialiser makes them."""

import keras
import numpy as np

from .keeping import value

_ENOUGH = 64  # values, for a distribution to be told


def initial(model):
    """Name the weights of a model that are as an initialiser makes them, of those that training would change.

    Zeros and ones exactly, as biases and scales begin; kernels whose values fill the range of their own layer's
    uniform initialiser evenly and nothing beyond. What the model's own optimizer has changed is left out.
    """
    found, trained = [], _trained(model)
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            if id(variable) not in trained and _is_initial(layer, variable):
                found.append(variable.path)
    return found


def _trained(model):
    """What the model's optimizer has changed: ids of variables."""
    optimizer = getattr(model, "optimizer", None) if model.compiled else None
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    iterations = getattr(optimizer, "iterations", None)
    if iterations is None or not int(keras.ops.convert_to_numpy(iterations)):
        return set()
    return {id(variable) for variable in optimizer._trainable_variables}


def _is_initial(layer, variable):
    values = value(variable).astype(np.float64).ravel()
    if not values.size or not np.isfinite(values).all():
        return False
    initializer = getattr(layer, f"{variable.name}_initializer", None)
    if initializer is None and (values == 0).all():
        return True
    kind = type(initializer).__name__
    if kind in ("Zeros", "Ones", "Constant"):
        begins = {"Zeros": 0.0, "Ones": 1.0}.get(kind, getattr(initializer, "value", None))
        return bool((values == begins).all())
    limit = _limit(initializer, tuple(variable.shape))
    if limit is None or values.size < _ENOUGH:
        return False
    steps = np.sort(values / (2 * limit) + 0.5)  # evenly from 0 to 1
    apart = np.abs(
        steps - (np.arange(values.size) + 0.5) / values.size
    ).max()  # Kolmogorov and Smirnov's distance
    inside = np.abs(values).max() <= limit * (1 + 1e-6)
    return bool(inside and apart * np.sqrt(values.size) < 1.4)


def _limit(initializer, shape):
    """The bound of a uniform initialiser for a kernel of that shape; None where it isn't one."""
    scale, mode = getattr(initializer, "scale", None), getattr(initializer, "mode", None)
    if getattr(initializer, "distribution", None) != "uniform" or len(shape) < 2:
        bound = getattr(initializer, "maxval", None)
        return bound if bound is not None and getattr(initializer, "minval", None) == -bound else None
    positions = int(np.prod(shape[:-2]))
    fans = {"fan_in": shape[-2] * positions, "fan_out": shape[-1] * positions}
    fans["fan_avg"] = sum(fans.values()) / 2
    return float(np.sqrt(3 * scale / max(1.0, fans[mode])))
