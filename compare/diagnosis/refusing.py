"""What a framework or a person's own code refuses, told in one line."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compare.spec import InputError

# characters of somebody else's message that are told: some print a whole batch
LONGEST = 240


def told(error: BaseException) -> str:
    """Tell an error in one line: its message, and the line of the person's own code that it comes from."""
    message = said(error)
    message += "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    not_theirs = {Path(__file__).parent.parent.parent, Path(traceback.__file__).parent}
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename
        and not_theirs.isdisjoint(Path(frame.filename).resolve().parents)
    ]
    if isinstance(error, ModuleNotFoundError) and any(
        "keras" in Path(frame.filename).parts for frame in frames
    ):
        message += ", which Keras computes with unless KERAS_BACKEND says otherwise: set it to jax or torch"
    if own and "importlib" not in own[-1].filename:
        return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {type(error).__name__}: {message}"
    # what a framework says by itself names neither model nor data
    theirs = isinstance(error, RuntimeError) or (bool(frames) and _is_theirs(error, frames[-1]))
    return f"the model or its loss refuses the data: {message}" if theirs else message


def said(error: BaseException) -> str:
    """An error's own message in one line, without what isn't for a person who reads it."""
    # a terminal's colours, what TensorFlow says of its graph, and what Keras adds of the arguments
    text = re.sub(r"\x1b\[[0-9;]*m|\{\{\w+ \S+\}\}|\[Op:\w+\]( name:)?", "", str(error))
    message = " ".join(text.partition("Arguments received by")[0].split()) or type(error).__name__
    return message if len(message) <= LONGEST else f"{message[:LONGEST].rstrip()} ..."


def _is_theirs(error: BaseException, last: traceback.FrameSummary) -> bool:
    """Whether an error is a framework's own. Keras takes its files out of a traceback, which then ends with a call."""
    raised = (last.line or "").startswith("raise") or isinstance(error, TypeError)
    return "site-packages" in last.filename or not raised


@contextmanager
def one_line() -> Iterator[None]:
    """Make an error of a framework, or of a person's own code, an `InputError` of one line that names it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(told(error)) from error
