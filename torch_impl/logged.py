"""What a LightningModule logs, taken without its trainer; and which of its steps evaluates.

DIFFERS: a Keras model is its own trainer.
"""

import inspect
import threading
from contextlib import contextmanager

import torch


class Logging:
    """Takes what a LightningModule logs, and keeps its hands off trainer and optimizers.

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


def evaluation_step(module):
    """The module's own ``validation_step``, or ``training_step`` where it has none."""
    return module.validation_step if evaluates(module) else module.training_step


def taken(step):
    """Count what a LightningModule's step takes of a batch, its number and its loader's; the last where it must."""
    taken = inspect.signature(step).parameters.values()
    must = [p for p in taken if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return max(min(2, len(taken)), len(must))


def named_loss(logged):
    """Find the name under which a loss was logged; None where none was."""
    names = [name for name in logged if bare(name) == "loss"] or [n for n in logged if "loss" in n.lower()]
    return names[0] if names else None


def bare(name):
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
