"""Every tolerance of the parity check, each with its reason. Relative ones are to the reference's largest value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tolerance:
    """A bar: ``value`` of whatever ``of`` names, in float64 and in float32."""

    float64: float
    float32: float
    of: str
    reason: str

    def bar(self, dtype: str, device: str = "cpu") -> float:
        """The bar for ``float64`` or ``float32``; an accelerator's is so many times the CPU's (`ACCELERATED`)."""
        factor = 1.0 if device == "cpu" else ACCELERATED[dtype].factor
        return factor * (self.float64 if dtype == "float64" else self.float32)

    def of_norm(self, dtype: str) -> bool:
        """Whether the bar is for arrays as a whole, in the L2 norm, and not for their largest difference."""
        return self.of == _NORM and dtype == "float32"


@dataclass(frozen=True)
class Accelerated:
    """How many times the CPU's bars an accelerator's are, and why."""

    factor: float
    reason: str


ACCELERATED = {
    "float64": Accelerated(
        2.0,
        "a card adds up in other orders: each block of threads a part of a sum, and then the parts. Chains of additions"
        " are shorter than a processor's, not longer; two orders are up to twice as far apart as one is from the truth",
    ),
    "float32": Accelerated(
        8.0,
        "as in float64; besides, cuDNN may compute 3x3 convolutions by Winograd's transforms, whose own roundings are"
        " several times a plain sum's (Lavin and Gray 2016, https://arxiv.org/abs/1509.09308). Shortened products"
        " (TF32, ten bits) would be a thousand times off: they are switched off",
    ),
}

_MAX = "the array's largest value"
_NORM = f"{_MAX}; in float32 norms, the difference's to the array's"

TOLERANCES = {
    "configuration": Tolerance(0, 0, "each fact", "constants are equal or they are not"),
    "preprocessing": Tolerance(0, 0, _MAX, "one function makes the images, both models must get its bytes"),
    "forward": Tolerance(
        1e-13, 2e-6, _MAX,
        "what the model gives, after some 50 layers, each of sums of up to 4608 products: a few hundred roundings in"
        " float64, some 17 in float32",
    ),
    "layers": Tolerance(
        1e-13, 5e-6, _MAX,
        "each layer within: a framework's own sums of 4608 float32 products are up to 25 roundings away from a"
        " float64 run (measured at 224 px, full width), so that two frameworks may be 42 apart; later layers average"
        " that out",
    ),
    "forward-batch": Tolerance(
        1e-13, 5e-5, _MAX,
        "as with moving statistics; the images' own divide by a spread that may be small, which magnifies roundings"
        " more in float32, where a mean over a batch is itself off by hundreds of them",
    ),
    "loss": Tolerance(1e-13, 5e-5, _MAX, "a mean over the batch of what the forward pass gives"),
    "gradients": Tolerance(
        1e-11, 2e-1, _NORM,
        "twice as many layers as forward. In float32 a relu whose input is a rounding from zero opens in one"
        " framework and stays shut in the other, and single elements differ by all they hold: by up to 6 % of the"
        " array together (measured over 20 steps of four optimizers at full width)",
    ),
    "zero-gradients": Tolerance(
        1e-11, 5e-3, "the model's largest gradient",
        "batch statistics take a convolution's bias out again: its true gradient is zero and what is computed is"
        " rounding alone, so it has no size of its own to be compared with",
    ),
    "statistics": Tolerance(1e-11, 5e-5, _MAX, "a mean and a variance of what the forward pass gives"),
    "optimizer": Tolerance(1e-11, 2e-1, _NORM, "a weighted sum of gradients (or their squares) that agree"),
    "parameters": Tolerance(
        1e-11, 5e-2, _NORM,
        "Adam divides a gradient by its own size: one near epsilon turns its rounding error into a part of a step,"
        " in float32 into a whole one, up or down",
    ),
    "zero-parameters": Tolerance(
        1e-11, 10, "the array's largest value in float64, the learning rate in float32",
        "where the true gradient is zero float32's noise is as large as Adam's epsilon, and Adam makes full steps"
        " of it: at most a few learning rates",
    ),
    "evaluation": Tolerance(1e-11, 5e-2, _MAX, "a forward pass with parameters that agree as far as those do"),
    "native": Tolerance(
        1e-9, 1e-2, _MAX,
        "what is left when the defaults' terms are taken out; recovering a batch's statistics from moving ones"
        " divides by 1 - decay = 0.01",
    ),
}  # fmt: skip

# Where a bar is exceeded, twins one rounding away (`compare.parity.twin`) say how far rounding takes an array there,
# and the bar is raised to so many times that. Measured on correct networks: twice the twin's distance for layers,
# losses and gradients (full width), up to eight times for parameters, where Adam divides by a gradient near its
# epsilon, and the one element that decides comes out much smaller in one twin than in another.
TWINS = 3  # whose largest distance counts: a single number, as a loss is, may come close again by chance
TWIN_FACTOR = 10.0  # frameworks round at every operation, the twin was moved once
TWIN_FACTOR_STEPPED = 100.0  # parameters after a step, and what is evaluated with them
TWIN_FLOOR = 64.0  # roundings below which a distance is none: the twin may happen not to move at all
TWIN_REASON = (
    "where a bar is exceeded, it is so many times the distance of a twin whose weights and images are one rounding"
    " away: that measures how far rounding goes there"
)

TWIN = {
    "factor": TWIN_FACTOR,
    "factor_stepped": TWIN_FACTOR_STEPPED,
    "roundings_that_are_no_distance": TWIN_FLOOR,
    "reason": TWIN_REASON,
}  # as a certificate holds it


def twin_factor(stage: str) -> float:
    """How many times a twin's distance is no difference, in a stage."""
    return TWIN_FACTOR_STEPPED if stage in ("parameters", "evaluation") else TWIN_FACTOR


def layer_bars(layers: Sequence[str], images_own: bool, dtype: str, device: str = "cpu") -> dict[str, float]:
    """The bars of layers' outputs; the last layer's is what the model gives.

    Args:
        images_own: whether BN normalises with the images' own statistics, in training or as evaluation's.
    """
    names = ("forward-batch", "forward-batch") if images_own else ("layers", "forward")
    each, last = (TOLERANCES[name].bar(dtype, device) for name in names)
    return {**dict.fromkeys(layers, each), layers[-1]: last}


def rounding(dtype: str) -> float:
    """The distance from 1 to the next number."""
    return float(np.finfo(dtype).eps)


def as_dict(dtype: str, device: str = "cpu") -> dict[str, dict]:
    """The bars for a dtype on a device with their reasons, as a certificate holds them."""
    more = "" if device == "cpu" else f". On {device}: {ACCELERATED[dtype].reason}"
    return {
        name: {"bar": t.bar(dtype, device), "relative_to": t.of, "reason": t.reason + more}
        for name, t in TOLERANCES.items()
    }
