"""The one renderer: every page of the project is a template that it fills in."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from compare.words import Span, points, signed

# the style's classes of what a sentence's parts say
CLASSES = {"worse": "above", "well": "below"}


def render(template: str, context: dict[str, Any]) -> str:
    """Fill in a template; in HTML everything that the context holds is escaped.

    Args:
        template: a path below the package, ``report/report.html.j2``; what templates share lies in ``pages/``.
        context: what the template shows. A name that it uses and the context lacks is an error.
    """
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent]),
        autoescape=lambda name: name is None or not name.endswith(".md.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"signed": _minus, "figure": _figure, "points": points, "spans": _spans}
    return environment


def _minus(value: float, digits: int = 3) -> str:
    """A signed figure with a typographer's minus."""
    return signed(value, digits).replace("-", "\N{MINUS SIGN}")


def _figure(value: float | None, form: str = ".3f") -> str:
    return "" if value is None else format(value, form)


def _spans(sentence: Iterable[Span]) -> Markup:
    parts = (
        Markup('<span class="{}">{}</span>').format(CLASSES[span.tone], span.text)
        if span.tone
        else Markup.escape(span.text)
        for span in sentence
    )
    return Markup("").join(parts)
