"""The page: ``parity.html``, one file that opens offline."""

from __future__ import annotations

from compare.frameworks import labels
from compare.pages.render import render as fill
from compare.parity.certificate import Result, as_json
from compare.parity.stages import STAGES
from compare.parity.terminal import verdict


def render(result: Result) -> str:
    """Render a result as HTML: the verdict, a table of stages a policy, and each stage's arrays."""
    check = result.check
    one, other = labels(check.frameworks)
    settings = (
        f"{check.variant}, width {check.width}, weights {check.weights}, {check.numerics} numerics, {check.dtype}, "
        f"{check.image_size} px, batches of {check.batch_size}, {check.optimizer} at {check.learning_rate}, "
        f"{check.steps} steps, seed {check.seed}."
    )
    context = {
        "title": f"Do {one} and {other} compute and train the same {check.backbone}?",
        "subtitle": settings,
        "warnings": [],
        "certificate": as_json(result),
        "policies": {policy: (verdict(stages), stages) for policy, stages in result.stages.items()},
        "names": STAGES,
    }
    return fill("parity/page.html.j2", context)
