"""Why fit and evaluate part, shown on the same models in Keras and in PyTorch."""

from importlib import import_module
from typing import Any

__all__ = ["audit", "diagnose", "keras", "lightning", "torch", "transformers"]


def __getattr__(name: str) -> Any:
    """Import what somebody asks for, and no framework before: the command line doesn't need them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in ("audit", "diagnose"):
        return import_module(f"compare.{name}")
    from compare.diagnosis import diagnosis

    return getattr(diagnosis, name)
