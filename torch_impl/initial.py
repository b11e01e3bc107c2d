"""Tell which of a model's weights are still as an initialiser makes them."""

import math

import torch
from torch import nn

# fewer values than this can't be told from trained ones by their distribution
_LEAST = 24
# 1.63 / sqrt(n) is what one uniform sample in a hundred exceeds (Kolmogorov 1933)
_CRITICAL = 1.63


def initial(model):
    """Name the parameters that are as PyTorch's own initialisers make them.

    Scales of normalisations that are exactly 1 and biases that are exactly 0; weights and biases of linear and
    convolutional layers that lie within the initialiser's bound, fill it, and are evenly spread in it.

    DIFFERS: PyTorch draws weights evenly between -1/sqrt(fan in) and 1/sqrt(fan in); Keras has Glorot's rule.
    """
    found = []
    for path, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        prefix = f"{path}." if path else ""
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and "weight" in own:
            weight = own["weight"]
            fan = weight[0].numel() if not getattr(module, "transposed", False) else weight[:, 0].numel()
            bound = 1 / math.sqrt(max(1, fan))
            if _is_even(weight, bound):
                found += [prefix + name for name in own if name == "weight" or own[name].abs().max() <= bound]
        elif hasattr(module, "running_mean") and {"weight", "bias"} <= own.keys():
            if (own["weight"] == 1).all() and (own["bias"] == 0).all():
                found += [prefix + "weight", prefix + "bias"]
    return found


def _is_even(values, bound):
    """Whether values are spread evenly between -bound and bound, as far as so many can tell."""
    values = values.detach().flatten().double().cpu()
    if len(values) < _LEAST or values.abs().max() > bound * (1 + 1e-6) or values.abs().max() < 0.9 * bound:
        return False
    if len(values) > 20_000:
        values = values[:: len(values) // 20_000]
    even = (values.sort().values / bound + 1) / 2
    steps = torch.arange(1, len(even) + 1, dtype=torch.float64, device="cpu") / len(even)
    return bool((steps - even).abs().max() < _CRITICAL / math.sqrt(len(even)))
