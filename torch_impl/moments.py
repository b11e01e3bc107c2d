"""What reaches a normalisation layer, sample by sample: the moments over the positions that each sample has."""

import torch

_PIECE = 2**18  # values of a tensor that are looked at at a time


def samples(x):
    """Each sample's mean and biased variance over its positions, float64 ``(N, C)``, and how many those are.

    They are computed where the tensor is, in its own precision, but for lesser ones than float32.

    Args:
        x: ``(N, C)`` or ``(N, C, ...)``.
    """
    lesser = x.dtype in (torch.float16, torch.bfloat16) or x.ndim == 2
    return _by_sample(x, torch.float64 if lesser else x.dtype)


def moments(x):
    """The moments of a batch, sample by sample, as `lockstep.pool` takes them, in float64 throughout."""
    means, variances, positions = _by_sample(x, torch.float64)
    return [(positions, mean, variance * positions) for mean, variance in zip(means, variances, strict=True)]


def _by_sample(x, dtype):
    """The moments of `samples`, computed in a dtype."""
    x = x.detach().flatten(2) if x.ndim > 2 else x.detach().unsqueeze(-1)
    number, channels, positions = x.shape
    # a processor's cache holds a piece; another device takes all at once
    step = max(1, _PIECE // max(1, channels * positions)) if x.device.type == "cpu" else max(1, number)
    means, variances = (torch.zeros(number, channels, dtype=dtype, device=x.device) for _ in range(2))
    for start in range(0, number, step):
        part = x[start : start + step].to(dtype)
        mean = part.mean(-1, keepdim=True)
        means[start : start + step] = mean[..., 0]
        if positions > 1:
            variances[start : start + step] = (part - mean).square_().mean(-1)
    return means.double().cpu().numpy(), variances.double().cpu().numpy(), positions
