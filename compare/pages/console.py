"""Sentences for the terminal, in its colours."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from compare.words import Span, Tone

STYLES: dict[Tone, str] = {"": "", "worse": "bold red", "well": "green"}


def coloured(sentence: Iterable[Span]) -> Text:
    """A sentence as text; nothing in it is taken for markup."""
    return Text.assemble(*((span.text, STYLES[span.tone]) for span in sentence))
