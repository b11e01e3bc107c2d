"""A pair of small networks from the lines that make them."""

import textwrap
from dataclasses import dataclass, field

from tests.pair.sources import FILL

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"


@dataclass(frozen=True)
class Short:
    """Both sources; what is asked for; the cause and the layer that must be found, or nothing."""

    keras: str
    torch: str
    options: dict = field(default_factory=dict)
    finds: tuple = ()


def pair(
    keras, init, forward, takes="x", gives="fill(keras.Model(i, o), 1)", optimizer="", shape="", finds=()
):
    """Put a pair together.

    Args:
        keras: lines that compute ``o`` from ``keras.Input`` ``i``, or a whole source.
        init, forward: lines of a module's.
        takes, gives: the arguments of ``forward``, and what Keras's ``build`` returns.
        optimizer: of ``m``, the module.
    """
    ours = keras if "def build" in keras else f"{FILL}\n\ndef build():\n{_in(keras, 4)}\n    return {gives}\n"
    ends = f"    m = Net()\n    return m, {optimizer}\n" if optimizer else "    return Net()\n"
    theirs = (
        f"{HEAD}class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n{_in(init, 8)}\n\n"
        f"    def forward(self, {takes}):\n{_in(forward, 8)}\n\n\ndef build():\n{ends}"
    )
    return Short(ours, theirs, {"shape": shape} if shape else {}, finds)


def _in(lines, spaces):
    return textwrap.indent(lines.strip(), " " * spaces)
