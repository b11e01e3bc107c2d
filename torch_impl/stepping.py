"""Training steps of any model, on inputs and targets that both frameworks are given."""

from math import prod

import numpy as np
import torch
import torch.nn.functional as F

from . import observing, optimizers


class Steps:
    """A model in training; dropout and other noise are off.

    Args:
        model: a module.
        optimizer: settings: ``kind`` (of `optimizers.NAMES`), ``learning_rate`` and what else it has.
        loss: ``kind``, one of `LOSSES`, and ``logits``.
        edits: changes of single calls, as `observing.observe` takes them.
        axes: of each output, in Keras's order.
    """

    def __init__(self, model, optimizer, loss, edits=(), axes=None):
        self.model, self.loss, self.axes = model, loss, axes
        self.edits = list(edits)
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = make(optimizer, self.parameters)
        self.coupled = optimizer.get("coupled", {})

    def step(self, inputs, targets):
        """Take one step.

        Returns:
            The loss before it, its penalty's part, and the gradients by name.
        """
        observing.mode(self.model, True)
        self.optimizer.zero_grad()
        for parameter in self.model.parameters():
            parameter.grad = None
        loss = self._loss(inputs, targets)
        loss.backward()
        gradients = self._gradients()
        with torch.no_grad():
            for name, factor in self.coupled.items():
                if name in gradients and self.parameters[name].grad is not None:
                    self.parameters[name].grad.add_(self.parameters[name], alpha=factor)
        self.optimizer.step()
        return float(loss.detach()), 0.0, gradients

    @torch.no_grad()
    def evaluate(self, inputs, targets):
        """Loss and outputs in inference mode."""
        observing.mode(self.model, False)
        loss = self._loss(inputs, targets)
        return float(loss), [x.numpy().copy() for x in self.outputs]

    def to_arrays(self):
        """Copy all arrays of the model."""
        return arrays(self.model)

    def _gradients(self):
        return {
            n: np.zeros(p.shape, p.detach().numpy().dtype) if p.grad is None else p.grad.numpy().copy()
            for n, p in self.parameters.items()
        }

    def _watching(self):
        return observing.Watch(self.model, self.edits, values=False)

    def _loss(self, inputs, targets):
        tensors = [observing.tensor(x) for x in inputs]
        watch = self._watching()
        with watch.attached():
            for x in tensors:
                watch.live(x)
            with watch:
                outputs = observing.returned(self.model(*tensors))
        outputs = outputs[: len(targets)]
        if self.axes:
            outputs = [
                x if order is None else x.permute(order) for x, order in zip(outputs, self.axes, strict=True)
            ]
        self.outputs = [x.detach() for x in outputs]
        return sum(loss(x, observing.tensor(y), self.loss) for x, y in zip(outputs, targets, strict=True))


def loss(outputs, targets, settings):
    """The loss of a batch: the mean over what has one, or the sum.

    Args:
        outputs, targets: ``(N, ..., C)``; targets are one-hot or numbers.
        settings: ``kind`` is ``crossentropy``, ``binary``, ``mse`` or ``mae``; ``logits`` says what outputs are,
            ``summed`` whether to add up.
    """
    mean = _mean(outputs, targets, settings)
    return mean * prod(outputs.shape[:-1]) if settings.get("summed") else mean


def _mean(outputs, targets, settings):
    targets = targets.reshape(outputs.shape)
    kind, smoothing = settings["kind"], settings.get("smoothing", 0.0)
    if kind == "crossentropy":
        targets = targets * (1 - smoothing) + smoothing / outputs.shape[-1]
        logs = (
            F.log_softmax(outputs, -1)
            if settings["logits"]
            else (outputs / outputs.sum(-1, keepdim=True)).log()
        )
        return -(targets * logs).sum(-1).mean()
    if kind == "binary":
        targets = targets * (1 - smoothing) + 0.5 * smoothing
        if settings["logits"]:
            return (outputs.clamp(min=0) - outputs * targets + torch.log1p(torch.exp(-outputs.abs()))).mean()
        return -(targets * outputs.log() + (1 - targets) * (1 - outputs).log()).mean()
    if kind == "mae":
        return (outputs - targets).abs().mean()
    return (outputs - targets).square().mean()


def arrays(model):
    """Copy a model's floating-point arrays: name -> array, in PyTorch's layout."""
    state = observing.state(model)
    return {name: value.detach().numpy().copy() for name, value in state.items() if value.is_floating_point()}


def assign(model, values):
    """Set arrays of a model to copies of ``values``."""
    state = observing.state(model)
    with torch.no_grad():
        for name, value in values.items():
            state[name].copy_(torch.from_numpy(np.asarray(value, order="C")))


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


def penalties(model):
    """array -> twice the factor of its L2 penalty: a module has none."""
    return {}


def added(model):
    """array or layer -> what else it adds to the loss: a module adds nothing."""
    return {}


def constrained(model):
    """array -> the constraint that it is put back under after every step: a module has none."""
    return {}
