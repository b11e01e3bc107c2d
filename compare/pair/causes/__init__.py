"""Likely causes of a difference, each as one change of PyTorch's model to be tried on a copy."""

from __future__ import annotations

from compare.pair.causes import (
    activations,
    attention,
    cells,
    convolutions,
    elements,
    inputs,
    masks,
    norms,
    operands,
    pooling,
    recurrent,
    replaced,
    rounding,
    shapes,
    sharing,
    whole,
)
from compare.pair.causes.trial import Cause

# tried first, where the results are nearly the same: constants that a framework keeps in float32
FIRST: dict[str, Cause] = {"rounding": rounding.constants}
# in the order in which they are tried: what is read off both models before what is only possible
CAUSES: dict[str, Cause] = {
    "arrays": whole.arrays,
    "norms": norms.settings,
    "convolutions": convolutions.settings,
    "activations": activations.other,
    "pooling": pooling.settings,
    "resize": pooling.resizing,
    "masks": masks.masks,
    "recurrent": recurrent.cells,
    "cells": cells.written_out,
    "orders of values": operands.orders,
    "numbers": operands.numbers,
    "attention": attention.scales,
    "exchanged": operands.exchanged,
    "parts": operands.parts,
    "combinations": operands.combined,
    "shapes": shapes.orders,
    "axes": shapes.axes,
    "elements": elements.moved_about,
    "cut": elements.cut,
    "input": inputs.scales,
    "kernels": convolutions.kernels,
    "missing activations": activations.missing,
    "unknown activations": activations.unknown,
    "sharing": sharing.arrays,
    "other functions of one value": replaced.activations,
    "extra": whole.extra,
    "another value": operands.another,
    "missing": whole.missing,
    "what is read": whole.reads,
    "other functions": replaced.functions,
}
