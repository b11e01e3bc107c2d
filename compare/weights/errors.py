"""The one error of reading: everything else that a parser raises comes of a damaged file."""

from __future__ import annotations


class UnreadableError(ValueError):
    """A file can't be read, or isn't to be; the reason continues a line that begins with the file's path."""


class PickledError(UnreadableError):
    """A file holds a whole pickled object, which is code."""
