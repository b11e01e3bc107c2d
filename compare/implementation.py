"""What `compare` needs of an implementation: the same modules with the same functions, in either framework."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any, Protocol

MODULES = ("transfer", "bn_policy", "optimizers", "replay", "statistics", "training", "weights")


class Implementation(Protocol):
    """The modules of ``keras_impl`` or ``torch_impl`` that drive a training.

    Attributes:
        transfer: ``build``, ``parts``, ``body``.
        bn_policy: ``Policy``, ``apply``, ``audit``.
        optimizers: ``adam``.
        replay: ``random_state``, ``replaying``, ``measure``, ``features``, ``penalty``.
        statistics: ``batch_norms``, ``moving``, ``constants``, ``population``, ``recalibrate``, ``substituted``.
        training: ``start``, ``fit``, ``evaluate``, ``extract_features``, ``NonFiniteLossError``.
        weights: ``to_arrays``, ``from_arrays``.
    """

    transfer: Any
    bn_policy: Any
    optimizers: Any
    replay: Any
    statistics: Any
    training: Any
    weights: Any


def implementation(framework: str) -> Implementation:
    """Import ``keras_impl`` or ``torch_impl``: one of the two in a process."""
    modules = {name: import_module(f"{framework}_impl.{name}") for name in MODULES}
    return SimpleNamespace(**modules)  # type: ignore[return-value]
