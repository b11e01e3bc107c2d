"""A LightningModule's own steps, made without its trainer, and what they log.

DIFFERS: a Keras model is its own trainer.
"""

import inspect
import threading
from contextlib import contextmanager

import numpy as np
import torch


class Logging:
    """Makes a LightningModule's steps, takes what they log, and keeps their hands off trainer and optimizers.

    Passes in several threads may be under way; each has what it logged to itself.
    """

    def __init__(self, module):
        self.module, self.here, self.under_way, self.before = module, threading.local(), 0, {}

    @contextmanager
    def taking(self):
        """Yield the dictionary that takes what is logged."""
        self._start()
        self.here.logged = logged = {}
        for part in self.module.modules():
            if counts(part):
                part.reset()  # what is logged of it is this batch's
        try:
            yield logged
        finally:
            self._end()

    def step(self, raw, training, index):
        """Make the module's own step on a batch.

        Args:
            raw: the batch, as the step takes it.
            training: whether its ``training_step``, or what it evaluates with.
            index: of the batch.

        Returns:
            What the step returned, as a dictionary, with the figures that it logged as ``metrics``. The ``loss`` is the
            one that it logged where it evaluates, or returned none.
        """
        step = (
            self.module.training_step
            if training or not evaluates(self.module)
            else self.module.validation_step
        )
        with self.taking() as seen:
            result = step(*[raw, index, 0][: _taken(step)])
        said = result if isinstance(result, dict) else {} if result is None else {"loss": result}
        if said.get("loss") is None or not training:
            named = _named_loss(seen)
            said = {**said, **({"loss": seen[named]} if named else {})}
        metrics = {_bare(name): value for name, value in seen.items() if np.isscalar(value)}
        metrics.pop("loss", None)
        return {**said, "metrics": metrics}

    def log(self, name, value, *args, **kwargs):
        """Stand in for the module's own."""
        value = number(value)
        if value is not None:
            self.here.logged[name] = value

    def log_dict(self, values, *args, **kwargs):
        """Stand in for the module's own."""
        for name, value in values.items():
            self.log(name, value)

    def _start(self):
        self.under_way += 1
        if self.under_way > 1:
            return
        replaced = {"log": self.log, "log_dict": self.log_dict}
        if not getattr(self.module, "automatic_optimization", True):
            nothing = _Nothing()
            replaced |= dict.fromkeys(("optimizers", "lr_schedulers"), lambda *args, **kwargs: nothing)
            names = ("manual_backward", "toggle_optimizer", "untoggle_optimizer", "clip_gradients")
            replaced |= dict.fromkeys(names, lambda *args, **kwargs: None)
        attributes = vars(self.module)
        self.before = {name: attributes.get(name, _Nothing) for name in replaced}
        attributes.update(replaced)

    def _end(self):
        self.under_way -= 1
        if self.under_way:
            return
        for name, value in self.before.items():
            if value is _Nothing:
                del vars(self.module)[name]
            else:
                vars(self.module)[name] = value


class _Nothing:
    """An optimizer that does nothing, or any number of them."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None

    def __iter__(self):
        return iter((self, self))

    def __getitem__(self, index):
        return self


def evaluates(module):
    """Whether a module has a ``validation_step`` of its own, and not only Lightning's empty one."""
    holders = [base for base in type(module).__mro__ if "validation_step" in vars(base)]
    return bool(holders) and holders[0].__module__.split(".")[0] not in ("lightning", "pytorch_lightning")


def _taken(step):
    """Count what a LightningModule's step takes of a batch, its number and its loader's; the last where it must."""
    taken = inspect.signature(step).parameters.values()
    must = [p for p in taken if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return max(min(2, len(taken)), len(must))


def _named_loss(logged):
    """Find the name under which a loss was logged; None where none was."""
    names = [name for name in logged if _bare(name) == "loss"] or [n for n in logged if "loss" in n.lower()]
    return names[0] if names else None


def _bare(name):
    """The name of a figure without the phase that it is of."""
    name = name.lower().removesuffix("_epoch").removesuffix("_step").replace("/", "_")
    for phase in ("train", "training", "valid", "validation", "val", "test", "evaluate", "eval"):
        if name.startswith(f"{phase}_"):
            name = name.removeprefix(f"{phase}_")
            break
    return {"acc": "accuracy"}.get(name, name)


def number(value):
    """A figure as a Python number: a tensor, or a metric object's value of the last batch; None where it has none."""
    if hasattr(value, "compute"):
        known = getattr(value, "_forward_cache", None)
        try:
            value = value.compute() if known is None else known
        except Exception:  # one that nothing was told, or that takes more than a batch
            return None
    if isinstance(value, torch.Tensor):
        return value.detach().double().mean().item() if value.numel() else float("nan")
    return None if isinstance(value, dict) else float(value)


def counts(module):
    """Whether a module is a metric, as those of torchmetrics: what it keeps is of the figures, not of the model."""
    return all(callable(getattr(module, name, None)) for name in ("update", "compute", "reset"))
