"""Watch a training loop of one's own: ``with compare.torch.watch(model) as seen: ...``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from compare.diagnosis.seen import Seen
from torch_impl.evidence import Batch
from torch_impl.probing import Subject

__all__ = ["Seen", "Watching", "watch"]


@contextmanager
def watch(model: torch.nn.Module) -> Iterator[Seen]:
    """Watch an epoch of a person's own loop, which calls ``seen(loss, n)`` after each step.

    Nothing is changed, so that the loop's figures are the same to the last bit. The modes of all modules and the
    inputs are noted as they are when the model is called with gradients, inside the step; and which parameters the
    optimizers hold that step meanwhile.

    Args:
        model: the module that the loop calls.

    Yields:
        A `Seen`, which `compare.diagnose` takes as ``reported``. One epoch a ``with``.
    """
    watching = Watching(model)
    handles = [
        model.register_forward_pre_hook(watching.called, with_kwargs=True),
        register_optimizer_step_post_hook(watching.stepped),
    ]
    try:
        yield watching.seen
    finally:
        for handle in handles:
            handle.remove()


class Watching:
    """Notes what can be seen of a model's steps.

    Attributes:
        seen: what was noted since `begin`.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.module = getattr(model, "_orig_mod", model)
        self.seen = Seen()
        self._subject: Subject | None = None
        self._names = {id(p): name for name, p in self.module.named_parameters()}
        self._optimizers: set[int] = set()

    def begin(self) -> None:
        """Forget what was seen: a new epoch begins."""
        self.seen = Seen()
        self._optimizers.clear()

    def called(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note modes and inputs of a call with gradients; a pre-hook."""
        if not torch.is_grad_enabled():
            return
        self.modes()
        if kwargs:
            self.batch(dict(kwargs))
        else:
            self._enter(lambda subject: Batch(None, args[0] if len(args) == 1 else args))

    def stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Note which of the model's parameters an optimizer holds that has just made a step."""
        if id(optimizer) not in self._optimizers:
            self._optimizers.add(id(optimizer))
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            self.seen.trained |= {self._names[key] for key in held & self._names.keys()}

    def modes(self) -> None:
        """Note which modules are in training mode."""
        self.seen.modes = {path: module.training for path, module in self.module.named_modules()}

    def step(self, loss: Any) -> None:
        """Note the loss of a step over the batch that entered last; nothing where nobody saw its size."""
        if self.seen.entered:
            self.seen(loss)

    def batch(self, raw: Any) -> None:
        """Note a batch as the data gave it."""
        self._enter(lambda subject: subject.batch(raw))

    def _enter(self, batch: Any) -> None:
        """Note the samples of a batch; whatever can't be read must not stop somebody's training."""
        try:
            self._subject = self._subject or Subject(self.module, loss=_none)
            arrays = self._subject.arrays(batch(self._subject))
            self.seen.enter([np.asarray(array) for name, array in arrays.items() if name.startswith("x")])
        except Exception:
            self.seen.enter([])


def _none(outputs: Any, targets: Any) -> Any:
    raise NotImplementedError
