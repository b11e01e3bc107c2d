"""Why fit and evaluate part, shown on the same models in Keras and in PyTorch."""

from typing import Any

__all__ = ["audit", "diagnose"]


def __getattr__(name: str) -> Any:
    """Import `diagnose` and `audit` when somebody asks for them: the command line doesn't need them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from compare.diagnosis import diagnosis

    return getattr(diagnosis, name)
