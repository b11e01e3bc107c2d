"""The blocks of code in the documentation, to be run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page, *titles):
    """The blocks of a page that are fenced as ``python`` under one of some titles, in their order."""
    text = (ROOT / page).read_text()
    found = re.findall(r'```python title="([^"]+)"\n(.*?)```', text, re.DOTALL)
    return [code for title, code in found if title in titles]
