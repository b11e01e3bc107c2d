"""Sentences for the terminal, in its colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

from compare.pages.saying import to_nowhere
from compare.words import Span, Tone

STYLES: dict[Tone, str] = {"": "", "worse": "bold red", "well": "green"}


class Output(Console):
    """A console that moves nothing where nobody looks, and goes on when its reader has gone, as `head` does."""

    def status(self, status: RenderableType, **how: Any) -> Status:
        """Show on a terminal what is being done; elsewhere nothing, though colours may be forced there."""
        if self.file.isatty():
            return super().status(status, **how)
        return Console(quiet=True).status(status, **how)

    def on_broken_pipe(self) -> None:
        """Send what is still to be said nowhere; rich's own would end the process."""
        self.quiet = True
        to_nowhere(self.file)


def coloured(sentence: Iterable[Span]) -> Text:
    """A sentence as text; nothing in it is taken for markup."""
    return Text.assemble(*((span.text, STYLES[span.tone]) for span in sentence))
