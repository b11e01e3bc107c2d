"""The page: ``parity.html``, one file that opens offline."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from compare.frameworks import labels
from compare.pages.figures import drawing
from compare.pages.figures.parting import parting
from compare.pages.render import render as fill
from compare.parity.certificate import Result, as_json
from compare.parity.figures import Stage
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
    title = f"Do {one} and {other} compute and train the same {check.backbone}?"
    proofs = {policy: (verdict(stages), stages) for policy, stages in result.stages.items()}
    return shown(title, settings, as_json(result), proofs, STAGES)


def shown(
    title: str,
    subtitle: str,
    certificate: dict,
    proofs: dict[str, tuple[str, list[Stage]]],
    names: dict[str, str],
    notes: Sequence[str] = (),
) -> str:
    """Show proofs as a page.

    Args:
        proofs: of what -> the verdict in words, and the stages.
        names: of the stages, in words.
        notes: what else is to be said.
    """
    context = {
        "title": title,
        "subtitle": subtitle,
        "warnings": [],
        "certificate": certificate,
        "policies": proofs,
        "names": names,
        "notes": notes,
        "drawn": {name: _drawn(name, stages) for name, (_, stages) in proofs.items()},
    }
    return fill("parity/page.html.j2", context)


def _drawn(policy: str, stages: list[Stage]) -> dict | None:
    """The figure of the free run beside its twin; None where none ran free."""
    rows = [row for stage in stages if stage.name == "free" for row in stage.rows if row.twin is not None]
    if not rows:
        return None
    figure = parting(
        [row.step for row in rows], [row.relative for row in rows], [row.twin or 0.0 for row in rows]
    )
    alt = (
        f"{policy}, running free: relative distance of the two frameworks, step by step, and of a twin that began one"
        f" rounding away; at the last step {rows[-1].relative:.1e} and {rows[-1].twin:.1e}."
    )
    return {"name": "", "alt": alt, "svg": Markup(drawing.inline(figure, f"parting-{policy}"))}
