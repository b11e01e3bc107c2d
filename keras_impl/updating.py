"""What moves a person's model at a step: an optimizer's settings and averages, weight decay, penalties, constraints.

`optimizers` makes the optimizers of this project's own models.
"""

import keras
import numpy as np
from keras import ops

from . import observing
from .keeping import value


def make(settings):
    """Make an optimizer.

    Args:
        settings: ``kind``, ``learning_rate``, and of ``momentum``, ``nesterov``, ``decays``, ``epsilon``, ``amsgrad``,
            ``centered``, ``accumulator`` and ``weight_decay`` what it has.
    """
    kind, rate = settings["kind"], settings["learning_rate"]
    momentum, epsilon = settings.get("momentum", 0.0), settings.get("epsilon", 1e-7)
    if kind == "sgd":
        return keras.optimizers.SGD(rate, momentum, settings.get("nesterov", False))
    if kind == "rmsprop":
        rho, centered = settings.get("decays", [0.9])[0], settings.get("centered", False)
        return keras.optimizers.RMSprop(rate, rho, momentum, epsilon, centered)
    if kind == "adagrad":
        return keras.optimizers.Adagrad(rate, settings.get("accumulator", 0.1), epsilon)
    beta1, beta2 = settings.get("decays", (0.9, 0.999))
    amsgrad = settings.get("amsgrad", False)
    if kind == "adamw":
        return keras.optimizers.AdamW(rate, settings.get("weight_decay", 0.0), beta1, beta2, epsilon, amsgrad)
    return keras.optimizers.Adam(rate, beta1, beta2, epsilon, amsgrad)


def configuration(optimizer):
    """Read an optimizer's settings off it, in the words that `make` takes; ``kind`` is empty for an unknown one."""
    kind = type(optimizer).__name__.lower()
    rate = float(ops.convert_to_numpy(optimizer.learning_rate))
    facts = {"kind": kind, "learning_rate": rate, "weight_decay": float(optimizer.weight_decay or 0.0)}
    facts["more"] = _more(optimizer)
    if kind == "sgd":
        facts |= {"momentum": float(optimizer.momentum), "nesterov": bool(optimizer.nesterov)}
        return {**facts, "dampening": 0.0}
    if kind == "adam" and facts["weight_decay"]:
        facts["kind"] = "adamw"  # any of Keras's optimizers decays apart from the gradient
    if kind in ("adam", "adamw"):
        decays = [float(optimizer.beta_1), float(optimizer.beta_2)]
        return {
            **facts,
            "decays": decays,
            "epsilon": float(optimizer.epsilon),
            "amsgrad": bool(optimizer.amsgrad),
        }
    if kind == "rmsprop":
        momentum = float(optimizer.momentum)
        return {
            **facts,
            "decays": [float(optimizer.rho)],
            "epsilon": float(optimizer.epsilon),
            "momentum": momentum,
            "centered": bool(optimizer.centered),
        }
    if kind in ("adagrad", "adadelta", "adamax", "nadam"):
        facts["epsilon"] = float(optimizer.epsilon)
    if kind == "adagrad":
        return {**facts, "accumulator": float(optimizer.initial_accumulator_value), "rate_decay": 0.0}
    if kind == "adadelta":
        return {**facts, "decays": [float(optimizer.rho)]}
    if kind in ("adamax", "nadam"):
        facts["decays"] = [float(optimizer.beta_1), float(optimizer.beta_2)]
    # Nesterov's momentum warms up by 0.96 to the step's power; in PyTorch that power has a factor
    return facts | ({"momentum_decay": 1.0} if kind == "nadam" else {})


def _more(optimizer):
    """What an optimizer does besides, which PyTorch has in a training loop."""
    names = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")
    found = [f"{name}={getattr(optimizer, name)}" for name in names if getattr(optimizer, name, None)]
    if getattr(optimizer, "use_ema", False):
        found.append("use_ema=True")
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        found.append(f"learning rate ({type(schedule).__name__})")
    return found


def decayed(model, optimizer):
    """array -> its factors of weight decay: twice its L2 penalty's, which is in the gradient, and the optimizer's.

    DIFFERS: Keras's optimizers all decay apart from the gradient; PyTorch's AdamW does, its others decay in it.
    """
    found = {}
    own = float(optimizer.weight_decay or 0.0) if optimizer is not None else 0.0
    for name, (variable, _) in observing.variables(model).items():
        if variable.trainable:
            coupled = 2 * float(getattr(variable.regularizer, "l2", 0.0) or 0.0)
            found[name] = [coupled, own if own and optimizer._use_weight_decay(variable) else 0.0]
    return found


def penalties(model):
    """array -> twice the factor of its L2 penalty, as the backend computes with it."""
    return {
        name: 2 * _kept(variable.regularizer.l2)
        for name, (variable, _) in observing.variables(model).items()
        if variable.trainable and getattr(variable.regularizer, "l2", None) is not None
    }


def _kept(factor):
    """DIFFERS: TensorFlow computes with a factor rounded to float32, in float64 as well; JAX and PyTorch don't."""
    return float(np.float32(factor)) if keras.backend.backend() == "tensorflow" else float(factor)


def added(model):
    """array or layer -> what else it adds to the loss, in words: all but L2 penalties, which a weight decay can be."""
    found = {}
    for name, (variable, _) in observing.variables(model).items():
        penalty = variable.regularizer if variable.trainable else None
        factor = float(getattr(penalty, "l1", 0.0) or 0.0)
        if factor:
            found[name] = f"{factor:g} times the sum of the absolute values of {name}"
        elif penalty is not None and not hasattr(penalty, "l2"):
            found[name] = f"a {type(penalty).__name__} of {name}"
    for path, layer in observing.paths(model).values():
        penalty = getattr(layer, "activity_regularizer", None)
        if penalty is not None:
            found[path] = f"{_written(penalty)} of what {path} computes, divided by the batch size"
    return found


def constrained(model):
    """array -> the constraint that it is put back under after every step."""
    found = observing.variables(model).items()
    return {name: type(v.constraint).__name__ for name, (v, _) in found if getattr(v, "constraint", None)}


def averaged(model):
    """Say whether an optimizer's average of the weights is another model than the weights."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    averages = getattr(optimizer, "_model_variables_moving_average", None)
    if not getattr(optimizer, "use_ema", False) or not averages:
        return
    weights = [value(v) for v in optimizer._trainable_variables]
    averages = [value(v) for v in averages]
    apart = sum(not np.array_equal(a, w) for a, w in zip(averages, weights, strict=True))
    if apart:
        yield (
            f"The optimizer has use_ema=True, and its averages differ from {apart} of {len(weights)} weights: "
            "fit trains the one and hands over the other at its end."
        )
    else:
        yield (
            "The optimizer has use_ema=True, and the weights are its averages: fit's figures are of the weights "
            "before it put those in their place."
        )


def _written(penalty):
    factors = {name: float(getattr(penalty, name, 0.0) or 0.0) for name in ("l1", "l2")}
    parts = [f"{factor:g} times {name}" for name, factor in factors.items() if factor]
    return " and ".join(parts) or f"a {type(penalty).__name__}"
