"""Which framework a person's object is of, by the object itself."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, cast

from compare.diagnosis.side import Side
from compare.spec import InputError


def side_of(model: Any) -> tuple[Side, str]:
    """Find the side that takes a model, and its name. Only a framework that is imported already is asked.

    Raises:
        InputError: it is no model of either framework.
    """
    # a keras.Model that PyTorch computes is a module of PyTorch, too: one that stands on Keras's classes is Keras's
    packages = {base.__module__.split(".")[0] for base in type(model).__mro__}
    framework = "keras" if packages & {"keras", "tf_keras"} else "torch"
    if framework in sys.modules:
        side = cast(Side, import_module(f"{framework}_impl.probing"))
        if side.is_model(model):
            return side, framework
    if isinstance(model, type):
        raise InputError(f"model is the class {model.__name__}; give an object of it, with its weights")
    raise InputError(
        f"model is {type(model).__name__}; it must be a keras.Model, a torch.nn.Module or a trainer of one"
    )


def own_data(model: Any) -> Any:
    """The training data that a trainer holds, or a function that returns them; None where it holds none."""
    if callable(getattr(model, "get_train_dataloader", None)):
        return model.get_train_dataloader
    return getattr(model, "train_dataloader", None) if hasattr(model, "lightning_module") else None
