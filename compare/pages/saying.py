"""Text for the standard output, which may go on after its reader has gone, as `head` does."""

from __future__ import annotations

import os
import sys
from typing import IO


def say(text: object) -> None:
    """Print a text as it is; where its reader has gone it goes nowhere, and the exit code says what it would."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        to_nowhere(sys.stdout)


def to_nowhere(file: IO[str]) -> None:
    """Have a stream write nowhere from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # what Python has not written yet goes the same way, when the process ends
    os.dup2(nowhere, file.fileno())
    os.close(nowhere)
