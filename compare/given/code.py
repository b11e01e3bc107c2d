"""What a person names in code, ``FILE.py:NAME`` or ``package.module:NAME``, before any of it is run."""

from __future__ import annotations

from pathlib import Path

from compare.spec import InputError


def is_code(text: str) -> bool:
    """Whether this means something in code, be it a file whose name in it was left out."""
    place, _, name = text.rpartition(":")
    module = place.removesuffix(".py") if place.endswith(".py") else _dotted(place)
    return text.endswith(".py") or bool(module and _dotted(name))


def split(text: str, what: str = "") -> tuple[str, str]:
    """Split what names something in code into its file or module, and the name in that.

    Args:
        text: as it was given.
        what: the option, or the argument, that it was given to.

    Raises:
        InputError: it names nothing in code, or its file isn't there.
    """
    said = f"{what} {text}".lstrip()
    if text.endswith(".py"):
        raise InputError(f"{said}: say which of its names is meant, {text}:NAME")
    if not is_code(text):
        raise InputError(f"{said}: it is neither a file nor FILE.py:NAME nor package.module:NAME")
    place, _, name = text.rpartition(":")
    if place.endswith(".py") and not Path(place).is_file():
        raise InputError(f"{said}: there is no file {place}")
    return place, name


def _dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
