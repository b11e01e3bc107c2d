"""Python as HTML, in the style's colours."""

from __future__ import annotations

from markupsafe import Markup
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer


def coloured(code: str) -> Markup:
    """Mark up Python as HTML, escaped; classes begin with ``c-``."""
    return Markup(highlight(code, PythonLexer(), HtmlFormatter(nowrap=True, classprefix="c-")).rstrip())
