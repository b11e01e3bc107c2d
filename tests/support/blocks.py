"""The blocks of code in the documentation, to be run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page, *tags):
    """The blocks of a page that are fenced as ``python`` with one of some tags, in their order."""
    text = (ROOT / page).read_text()
    found = re.findall(r"```python (\w+)\n(.*?)```", text, re.DOTALL)
    return [code for tag, code in found if tag in tags]
