"""Consoles that keep what is printed."""

import io

from rich.console import Console


def console_of(width=120, encoding="utf-8", colour=False):
    """A console, and what returns the text printed on it so far."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    system = "standard" if colour else None
    console = Console(file=file, width=width, force_terminal=colour, color_system=system)

    def printed():
        file.flush()
        return file.buffer.getvalue().decode(encoding)

    return console, printed
