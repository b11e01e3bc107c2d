"""What the reference's process does: it computes and writes, for the other to compare itself with.

Each function is called there with the `Model` that the process keeps.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load_file, save_file

from compare.parity.check import Check
from compare.parity.model import Model, state


def start(model: Model, check: Check, weights: str) -> dict:
    """Build the model; return its configuration."""
    model.start(check, weights)
    return model.configuration()


def forward(model: Model, training: bool, path: str) -> None:
    """Write what goes into the model and every layer's output."""
    save_file(model.forward(training, model.images()), path)


def save(model: Model, path: str) -> None:
    """Write the state as it is."""
    save_file(model.training.to_arrays(), path)


def step(model: Model, number: int, path: str) -> None:
    """Take a step on batch ``number`` and write everything it changed and gave."""
    save_file(model.step(number), path)


def evaluate_at(model: Model, path: str, back: str) -> tuple[float, np.ndarray]:
    """Evaluate in another state, and go back to the one in the file ``back``."""
    model.set_state(state(load_file(path)))
    try:
        return model.evaluate()
    finally:
        model.set_state(state(load_file(back)))
