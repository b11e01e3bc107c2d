"""What moves a person's model at a step: the settings of its optimizer, and weight decay.

`optimizers` makes the optimizers of this project's own models.
"""

import torch

from . import optimizers


def make(settings, parameters):
    """Make the optimizer that computes as Keras's does.

    Args:
        settings: ``kind``, ``learning_rate``, and of ``momentum``, ``nesterov``, ``decays``, ``epsilon``, ``amsgrad``,
            ``centered``, ``accumulator``, ``weight_decay`` what it has; ``coupled`` (array -> twice the factor of its
            L2 penalty) is `Steps`'s. ``rounds``: as Keras on TensorFlow does, see `optimizers`.
            ``own``: it computes as PyTorch's own instead.
        parameters: name -> parameter.
    """
    kind, rate, given = settings["kind"], settings["learning_rate"], list(parameters.values())
    if settings.get("own"):
        return _own(kind, rate, settings, given)
    optimizer = _as_keras(kind, rate, settings, given)
    optimizer.rounds = settings.get("rounds", True)
    return optimizer


def _as_keras(kind, rate, settings, given):
    """Keras's optimizer with these settings."""
    momentum, epsilon = settings.get("momentum", 0.0), settings.get("epsilon", 1e-7)
    if kind == "sgd":
        return optimizers.KerasSGD(given, rate, momentum, nesterov=settings.get("nesterov", False))
    if kind == "rmsprop":
        alpha, centered = settings.get("decays", [0.9])[0], settings.get("centered", False)
        return optimizers.KerasRMSprop(given, rate, alpha, epsilon, momentum, centered)
    if kind == "adagrad":
        return optimizers.KerasAdagrad(given, rate, epsilon, settings.get("accumulator", 0.1))
    betas = tuple(settings.get("decays", (0.9, 0.999)))
    decay = settings.get("weight_decay", 0.0) if kind == "adamw" else 0.0
    return optimizers.KerasAdam(given, rate, betas, epsilon, decay, settings.get("amsgrad", False))


def _own(kind, rate, settings, parameters):
    """PyTorch's own optimizer with these settings."""
    if kind == "sgd":
        nesterov = bool(settings.get("nesterov") and settings.get("momentum"))
        return torch.optim.SGD(parameters, rate, settings.get("momentum", 0.0), nesterov=nesterov)
    if kind == "rmsprop":
        more = {"momentum": settings.get("momentum", 0.0), "centered": settings.get("centered", False)}
        kept = settings.get("decays", [0.9])[0]
        return torch.optim.RMSprop(parameters, rate, kept, settings.get("epsilon", 1e-7), **more)
    if kind == "adagrad":
        start, eps = settings.get("accumulator", 0.1), settings.get("epsilon", 1e-7)
        return torch.optim.Adagrad(parameters, rate, initial_accumulator_value=start, eps=eps)
    amsgrad = bool(settings.get("amsgrad"))
    given = {
        "amsgrad": amsgrad,
        "betas": tuple(settings.get("decays", (0.9, 0.999))),
        "eps": settings.get("epsilon", 1e-7),
    }
    if kind == "adamw":
        return torch.optim.AdamW(parameters, rate, **given, weight_decay=settings.get("weight_decay", 0.0))
    return torch.optim.Adam(parameters, rate, **given)


def configuration(optimizer):
    """Read an optimizer's settings off it, in the words that `make` takes; ``kind`` is empty for an unknown one.

    A learning rate that its groups don't share is a list.
    """
    group = optimizer.param_groups[0]
    kind = type(optimizer).__name__.removeprefix("Keras").lower()
    rates = sorted({float(one["lr"]) for one in optimizer.param_groups})
    facts = {"kind": kind, "learning_rate": rates[0] if len(rates) == 1 else rates}
    facts["weight_decay"] = group.get("weight_decay", 0.0)
    if kind == "sgd":
        facts |= {"momentum": group["momentum"], "nesterov": group.get("nesterov", False)}
        return {**facts, "dampening": group.get("dampening", 0.0)}
    if kind in ("adam", "adamw"):
        facts |= {"decays": list(group["betas"]), "epsilon": group["eps"]}
        return {**facts, "amsgrad": group.get("amsgrad", False)}
    if kind == "rmsprop":
        facts |= {"decays": [group["alpha"]], "epsilon": group["eps"]}
        return {**facts, "momentum": group.get("momentum", 0.0), "centered": group.get("centered", False)}
    if kind in ("adagrad", "adadelta", "adamax", "nadam"):
        facts["epsilon"] = group["eps"]
    if kind == "adagrad":
        facts |= {"accumulator": group.get("initial_accumulator_value", getattr(optimizer, "start", 0.0))}
        return {**facts, "rate_decay": group.get("lr_decay", 0.0)}
    if kind == "adadelta":
        return {**facts, "decays": [group["rho"]]}
    if kind in ("adamax", "nadam"):
        facts["decays"] = list(group["betas"])
    return facts | ({"momentum_decay": group["momentum_decay"]} if kind == "nadam" else {})


def decayed(model, optimizer):
    """array -> its factors of weight decay: what a person's own optimizer adds to the gradient, and takes off apart.

    DIFFERS: Keras's optimizers all decay apart from the gradient; PyTorch's AdamW does, its others decay in it.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in optimizer.param_groups:
        factor = float(group.get("weight_decay", 0.0))
        apart = isinstance(optimizer, (torch.optim.AdamW, optimizers.KerasAdam))
        apart = apart or group.get("decoupled_weight_decay", False)
        pair = [0.0, factor] if apart else [factor, 0.0]
        found |= {names[id(p)]: pair for p in group["params"] if id(p) in names}
    return found
