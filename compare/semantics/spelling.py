"""A spelling: what a person writes, as code that is both shown and run. Imports no framework."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

IMAGES = (6, 2, 2, 3)
ROWS = (24, 3)
ONE_ROW = (1, 3)
# an epoch's loss where three batches have it at 1 (4 samples), 9 (4) and 100 (2)
EPOCH_LOSSES = {24.0: "the samples' mean", 36.667: "the batches' mean", 100.0: "the last batch's alone"}
TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 4e-2}


@dataclass(frozen=True)
class Spelling:
    """What a person writes.

    Attributes:
        title: the spelling in short; what a row is called and found by.
        build: makes the model as the person does; its docstring says what to know about the row.
        shape: of the batches, channels last.
        precision: what the layer computes in, which bounds how well a loss can be told.
        helper: a class that ``build`` needs and the person writes, too.
    """

    title: str
    build: Callable[[], Any]
    shape: tuple[int, ...] = IMAGES
    precision: str = "float32"
    helper: type | None = None

    @property
    def tolerance(self) -> float:
        """How far a loss may be from what it is told by, relative."""
        return TOLERANCES[self.precision]

    @property
    def note(self) -> str:
        """What to know about the row, in one line."""
        return " ".join((inspect.getdoc(self.build) or "").split())

    @property
    def code(self) -> str:
        """The source of ``build``, without its decorator and docstring, after its helper's."""
        source = textwrap.dedent(inspect.getsource(self.build))
        function = ast.parse(source).body[0]
        if not isinstance(function, ast.FunctionDef) or not isinstance(function.body[0], ast.Expr):
            raise TypeError(f"{self.title}: must be a function with a docstring")
        lines, docstring = source.splitlines(), function.body[0]
        kept = lines[function.lineno - 1 : docstring.lineno - 1] + lines[docstring.end_lineno :]
        helper = [inspect.getsource(self.helper), "", ""] if self.helper else []
        return "\n".join([*"".join(helper[:1]).splitlines(), *helper[1:], *kept])


def collect(into: list[Spelling]) -> Callable[..., Callable]:
    """Make the decorator that adds functions to a list of spellings."""

    def spelling(title: str, **facts: Any) -> Callable:
        def add(build: Callable[[], Any]) -> Callable[[], Any]:
            into.append(Spelling(title, build, **facts))
            return build

        return add

    return spelling
