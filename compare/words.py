"""How figures become words, in the terminal and on pages; and sentences whose parts have a tone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# what a part of a sentence says: evaluate is worse; evaluate is as it should be; neither
Tone = Literal["", "worse", "well"]


@dataclass(frozen=True)
class Span:
    """A part of a sentence, and what colour it deserves; whoever shows it chooses the colour."""

    text: str
    tone: Tone = ""


def plain(spans: Iterable[Span]) -> str:
    """The text of a sentence, without its tones."""
    return "".join(span.text for span in spans)


def points(share: float) -> float:
    """A difference of accuracies in percentage points."""
    return 100 * share


def signed(value: float, digits: int = 2) -> str:
    """Write a difference with its sign; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def join(words: Iterable[str], last: str = "and") -> str:
    """List words: ``a, b and c``."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def difference(value: float, metric: str) -> str:
    """A difference with its sign and unit: of a loss, or of an accuracy in points."""
    if not math.isfinite(value):
        return str(value)
    if metric == "loss":
        return signed(value)
    text = signed(points(value), 0)
    return f"{text} point{'' if text.strip('+-') == '1' else 's'}"
