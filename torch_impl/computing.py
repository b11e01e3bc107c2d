"""Calls of PyTorch's functions computed otherwise than PyTorch does, by name: most of them as Keras does.

A function here is given ``bound``, a call's arguments by their names in `kinds.SIGNATURES`, or the one tensor ``x``.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .activating import activate, pool, resize
from .cells import gru, lstm, rnn


def conv(bound):
    """Convolve; ``pads`` are zeros for each axis's two sides in place of ``padding``."""
    x, weight = bound["input"], bound["weight"]
    rank = weight.dim() - 2
    pads = bound.get("pads")
    padding = bound.get("padding", 0)
    if pads is not None:
        x = F.pad(x, [side for pair in reversed(pads) for side in pair])
        padding = 0
    function = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    options = (bound.get("stride", 1), padding, bound.get("dilation", 1), bound.get("groups", 1))
    return function(x, weight, bound.get("bias"), *options)


def conv_transpose(bound):
    """Convolve transposed; ``crops`` are taken off each axis's two sides of the whole result instead of padding."""
    weight, crops = bound["weight"], bound.get("crops")
    rank = weight.dim() - 2
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    stride, dilation = bound.get("stride", 1), bound.get("dilation", 1)
    groups, bias = bound.get("groups", 1), bound.get("bias")
    if crops is None:
        padding, more = bound.get("padding", 0), bound.get("output_padding", 0)
        return function(bound["input"], weight, bias, stride, padding, more, groups, dilation)
    whole = function(bound["input"], weight, bias, stride, 0, 0, groups, dilation)
    for axis, (before, size) in enumerate(crops, 2):
        missing = max(before + size - whole.shape[axis], 0)
        if missing:
            sides = [0, 0] * (whole.dim() - axis - 1) + [0, missing]
            extended = F.pad(whole, sides)
            if bias is not None:
                start = whole.shape[axis]
                extended = extended.clone()
                extended.narrow(axis, start, missing).add_(bias.reshape(-1, *[1] * rank))
            whole = extended
        whole = whole.narrow(axis, before, size)
    return whole


def batch_norm(bound):
    """Normalise over all axes but the second; in training the moving variance takes in the biased one."""
    x = bound["input"]
    mean, variance = bound.get("running_mean"), bound.get("running_var")
    shape = (1, -1, *[1] * (x.dim() - 2))
    axes = [axis for axis in range(x.dim()) if axis != 1]
    own = bound.get("training", False) or mean is None
    if own:
        found = x.mean(axes)
        spread = x.var(axes, unbiased=False)
        if mean is not None and bound.get("training", False):
            share = bound.get("momentum", 0.1)
            moved = x.var(axes, unbiased=bound.get("moves", "biased") == "unbiased")
            with torch.no_grad():
                mean += (found - mean) * share
                variance += (moved - variance) * share
        mean, variance = found, spread
    elif bound.get("swapped"):
        mean, variance = variance, mean
    gamma, beta = bound.get("weight"), bound.get("bias")
    if bound.get("swapped_affine"):
        gamma, beta = beta, gamma
    scale = torch.rsqrt(variance + bound.get("eps", 1e-5))
    scale = scale if gamma is None else scale * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    return x * scale.reshape(shape) + shift.reshape(shape)


def layer_norm(bound):
    """Normalise over the axes that are given, all of the last ones by default."""
    x = bound["input"]
    axes = bound.get("axes") or list(range(x.dim() - len(bound["normalized_shape"]), x.dim()))
    gamma, beta = bound.get("weight"), bound.get("bias")
    if bound.get("swapped_affine"):
        gamma, beta = beta, gamma
    mean = x.mean(axes, keepdim=True)
    variance = x.var(axes, unbiased=bound.get("variance") == "unbiased", keepdim=True)
    if not bound.get("centered", True):  # by the root mean square alone
        mean, variance = torch.zeros_like(mean), x.square().mean(axes, keepdim=True)
    y = (x - mean) * torch.rsqrt(variance + bound.get("eps", 1e-5))
    y = y if gamma is None else y * _along(gamma, axes, x)
    return y if beta is None else y + _along(beta, axes, x)


def _along(array, axes, x):
    return array.reshape(
        [x.shape[a] if a in [axis % x.dim() for axis in axes] else 1 for a in range(x.dim())]
    )


# kind -> what computes such a call, with arguments that PyTorch's own function doesn't have
IMPLEMENTATIONS = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
}


def _permute_reshape(x, dims, shape, swap=False):
    made = x.permute(dims).reshape([len(x), *shape])
    return made.transpose(1, 2) if swap else made


def _norm_over(bound, axes):
    """Layer normalisation over other axes; gamma and beta lie along them."""
    return layer_norm({**bound, "axes": axes})


def _grouped(bound, groups):
    """Normalisation over groups of channels, the second axis's, whatever stands there."""
    return F.group_norm(
        bound["input"], groups, bound.get("weight"), bound.get("bias"), bound.get("eps", 1e-5)
    )


def _batch_norm_axis(bound, axis):
    return batch_norm({**bound, "input": bound["input"].movedim(axis, 1)}).movedim(1, axis)


def _attend(bound, scale=None, single=False, masked=None):
    """Scaled dot-product attention written out; ``masked`` is a mask as `_masked` has it, in place of any other."""
    q, k, v = bound["input"], bound["key"], bound["value"]
    scale = scale or bound.get("scale") or q.shape[-1] ** -0.5
    scores = (q * (float(np.float32(scale)) if single else scale)) @ k.transpose(-2, -1)
    mask = bound.get("attn_mask")
    if bound.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if masked is not None:
        scores, mask = _masked(scores, masked), None
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return F.softmax(scores, -1) @ v


def _combine(bound, kind):
    """Two tensors combined in another way."""
    a, b = bound["input"], bound["other"]
    if kind == "average":
        return (a + b) / 2
    return COMBINED[kind](a, b)


COMBINED = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}


# what takes a call's place, and is given its arguments by name
KINDS = {
    **IMPLEMENTATIONS,
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
    "norm_over": _norm_over,
    "grouped": _grouped,
    "batch_norm_axis": _batch_norm_axis,
    "attend": _attend,
    "combine": _combine,
}


def _masked(scores, mask):
    """Scores with a mask: True where one counts, or numbers that are added."""
    mask = torch.from_numpy(np.array(mask))
    return torch.where(mask, scores, -1e30) if mask.dtype == torch.bool else scores + mask


def _masked_mean(x, mask, axis=1):
    """The mean over one axis of ``(N, T, C)`` or ``(N, C, T)``, of what counts alone."""
    shares = torch.from_numpy(np.array(mask)).to(x.dtype).unsqueeze(2 if axis == 1 else 1)
    return (x * shares).sum(axis) / shares.sum(axis)


def _constant(value, x, last):
    """A number, or one for each channel of ``(N, C, ...)``, or of ``(N, ..., C)``."""
    if not isinstance(value, (list, tuple)):
        return value
    return torch.tensor(value, dtype=x.dtype).reshape(-1, *[1] * (0 if last else x.dim() - 2))


# what takes the place of a call of one tensor, or changes what goes in or comes out
FUNCTIONS: dict = {
    "permute_reshape": _permute_reshape,
    "value": lambda x, array: torch.from_numpy(np.array(array)).to(x.dtype),
    "activate": activate,
    "affine": lambda x, scale=1.0, offset=0.0, last=False: (
        x * _constant(scale, x, last) + _constant(offset, x, last)
    ),
    "flip": lambda x, axis: x.flip(axis),
    "mean": lambda x, axes, keepdim=False: x.mean(axes, keepdim=keepdim),
    "amax": lambda x, axes, keepdim=False: x.amax(axes, keepdim=keepdim),
    "pool": pool,
    "resize": resize,
    "masked": _masked,
    "masked_mean": _masked_mean,
}
