"""Every layer's output beside the reference's: each model on its own, and each layer on the reference's input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from compare.parity.figures import Distance, compare
from compare.parity.twin import raise_bars, until_same
from compare.wings import Arrays


def compare_layers(
    own: Arrays,
    forward: Callable[..., Arrays],
    reference: Mapping[str, np.ndarray],
    bars: Mapping[str, float],
    alone: Literal["always", "departed", "never"],
) -> list[Distance]:
    """Compare the layers that have a bar; where one is exceeded, twins say how far rounding goes there.

    Args:
        own: what the layers give.
        forward: gives the same with the others' outputs (``reference``) as each layer's input, or of the ``twin`` of
            a number.
        reference: the other's outputs, which may be read only when they are asked for.
        bars: layer -> its bar, in the order of the data.
        alone: when each layer is also compared on the reference's input, which says where a difference arises.
    """
    rows = [compare(name, own[name], reference[name], bar) for name, bar in bars.items()]
    if alone == "always" or (alone == "departed" and not all(row.same for row in rows)):
        single = forward(reference=reference)
        for row in rows:
            one = compare(row.name, single[row.name], reference[row.name], row.bar)
            row.introduced = not one.same
            row.note = "; ".join([f"{one.relative:.1e} on the reference's input", *filter(None, [row.note])])
        del single
    # what a bar of zero is for must be the same to the last bit
    inexact = [row for row in rows if row.bar]
    until_same(inexact, lambda twin: raise_bars(inexact, own, forward(twin=twin)))
    return rows
