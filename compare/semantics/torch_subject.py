"""A PyTorch module as the experiment's subject."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from compare.gap.observed import Arrays
from compare.semantics.experiment import Batch
from compare.semantics.spelling import Spelling

NAMES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
ORDEALS = ("save_load", "train()")  # in this order on one model: train() is what changes it


class TorchSubject:
    """A model around one batch normalisation module; see `compare.semantics.experiment.Subject`."""

    ordeals = ORDEALS

    def __init__(self, model: nn.Module, optimizer: Any, spelling: Spelling) -> None:
        self.model, self.spelling = model, spelling
        self.bn = next(module for module in model.modules() if hasattr(module, "running_mean"))
        self.epsilon, self.tolerance = getattr(self.bn, "eps", 1e-5), spelling.tolerance
        parameters = list(model.parameters())
        self.optimizer = optimizer or (torch.optim.SGD(parameters, 0.1) if parameters else None)

    def arrays(self) -> Arrays:
        """Return the module's arrays."""
        arrays = {name: getattr(self.bn, own) for name, own in NAMES.items()}
        return {name: a.detach().double().numpy().copy() for name, a in arrays.items() if a is not None}

    def set(self, arrays: Arrays) -> None:
        """Set the module's arrays."""
        with torch.no_grad():
            for name, array in arrays.items():
                own = getattr(self.bn, NAMES[name])
                if own is not None:
                    own.copy_(torch.from_numpy(array))

    def fit(self, batches: list[Batch]) -> list[tuple[float, Arrays]]:
        """Take a step a batch, in the mode that the model is in."""
        return [(self._step(x, y), self.arrays()) for x, y in batches]

    def gradient(self) -> bool:
        """Whether gamma's gradient is there."""
        return self.bn.weight.grad is not None

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> float:
        """Evaluate after ``model.eval()``, and put every module's mode back."""
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        try:
            with torch.no_grad():
                return self._loss(x, y).item()
        finally:
            for module, mode in modes:
                module.training = mode

    def after(self, ordeal: str) -> TorchSubject:
        """Call ``model.train()``, or save the whole model and load it."""
        if ordeal == "train()":
            self.model.train()
            return self
        file = io.BytesIO()
        if isinstance(self.model, torch.jit.ScriptModule):
            torch.jit.save(self.model, file)
        else:
            torch.save(self.model, file)
        file.seek(0)
        if isinstance(self.model, torch.jit.ScriptModule):
            model = torch.jit.load(file)
        else:
            model = torch.load(file, weights_only=False)
        return TorchSubject(model, None, self.spelling)

    def _step(self, x: np.ndarray, y: np.ndarray) -> float:
        if self.optimizer:
            self.optimizer.zero_grad()
        loss = self._loss(x, y)
        if loss.requires_grad:
            loss.backward()
        if self.optimizer:
            self.optimizer.step()
        return loss.item()

    def _loss(self, x: np.ndarray, y: np.ndarray) -> torch.Tensor:
        outputs = self.model(_channels_second(x))
        return torch.mean((outputs.float() - _channels_second(y)) ** 2)


@contextmanager
def subject(spelling: Spelling) -> Iterator[TorchSubject]:
    """Build a spelling's model, and its optimizer where the spelling is about that."""
    built = spelling.build()
    model, optimizer = built if isinstance(built, tuple) else (built, None)
    yield TorchSubject(model, optimizer, spelling)


def _channels_second(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(array, -1, 1).astype("float32"))
