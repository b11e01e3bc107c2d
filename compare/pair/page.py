"""The page of a pair's check: ``parity.html``, as the reference networks' is."""

from __future__ import annotations

from typing import Any

from compare.pair.asked import STAGES, Asked, Outcome
from compare.pair.terminal import left, remarks, sentences
from compare.parity.page import shown


def render(asked: Asked, outcome: Outcome, certificate: dict[str, Any]) -> str:
    """Render a check as HTML: the verdict and the line that mends, each stage's arrays, what is left of the map."""
    names = f"{asked.keras.text} and {asked.torch.text}"
    settings = f"{asked.numerics} numerics, {outcome.dtype}, {asked.steps} steps, seed {asked.seed}."
    verdict, *mend = sentences(outcome)
    notes = [*mend, *(left(one) for one in outcome.map.left), *remarks(outcome)]
    title = "Do Keras and PyTorch compute and train the same?"
    return shown(title, settings, certificate, {names: (verdict, outcome.stages)}, STAGES, notes)
