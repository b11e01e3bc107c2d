"""The page: ``parity.html``, one file that opens offline."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compare.parity.certificate import Result, as_json
from compare.parity.stages import STAGES
from compare.parity.terminal import verdict


def render(result: Result) -> str:
    """Render a result as HTML: the verdict, a table of stages a policy, and each stage's arrays."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda value: "" if value is None else f"{value:.1e}"
    return environment.get_template("page.html.j2").render(
        certificate=as_json(result),
        policies={policy: (verdict(stages), stages) for policy, stages in result.stages.items()},
        names=STAGES,
    )
