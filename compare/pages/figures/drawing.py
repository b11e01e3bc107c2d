"""What the figures have in common: colours, style, and the files that they become.

Each is saved as SVG and PNG, and as SVG to stand in the page, where it takes the page's colours. Colours are
Okabe and Ito's, https://jfly.uni-koeln.de/color/; a second channel (line style, hatching, the sign, lightness)
says the same, so that a figure can be read in grey.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from compare.files import write

INK, MUTED, GRID, PAPER = "#1b1b1d", "#6a6a70", "#dededf", "#fffffe"
ABOVE, BELOW, HATCH = "#d55e00", "#0072b2", "//////"
# in the page, a colour of the figure is the page's variable, light or dark
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--paper)",
    ABOVE: "var(--above)",
    BELOW: "var(--below)",
}

STYLE = {
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "axes.titley": 1.0,  # where titles stand is known: looking for room takes a fifth of the time
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "hatch.linewidth": 0.5,
    "svg.fonttype": "none",
}

# inches
WIDTH = 6.7


def save(figure: Figure, name: str, folder: Path) -> str:
    """Write ``name.svg`` and ``name.png`` and return the SVG as it can stand in a page, in the page's colours.

    The same figure gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    svg = _svg(figure, name)
    with rc_context(STYLE):
        png = io.BytesIO()
        options = {"compress_level": 2}  # half the time for a few per cent more bytes
        figure.savefig(png, format="png", dpi=144, metadata={"Software": None}, pil_kwargs=options)
    write(folder / f"{name}.svg", svg)
    write(folder / f"{name}.png", png.getvalue())
    return _inline(svg.decode(), name)


def inline(figure: Figure, name: str) -> str:
    """Return the SVG as it can stand in a page, in the page's colours; nothing is written."""
    return _inline(_svg(figure, name).decode(), name)


def _svg(figure: Figure, name: str) -> bytes:
    svg = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(svg, format="svg", metadata=nothing)
    return svg.getvalue()


def _inline(svg: str, name: str) -> str:
    """Cut what only a file of its own needs, and take the page's colours; ids get the figure's name."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    # what matplotlib says of all elements would hold for those around the figure, too
    said = re.search(r"\s*<style[^>]*>\*\{([^}]*)\}</style>", svg)
    if said:
        svg = svg.replace(said[0], "").replace("<svg", f'<svg style="{said[1]}"', 1)
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
