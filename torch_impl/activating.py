"""Activations by their neutral names, and what else is computed of one tensor as Keras does: pooling, resizing."""

import numpy as np
import torch
import torch.nn.functional as F


def activate(x, kind, single=False, **options):
    """Apply an activation by its neutral name.

    Args:
        single: constants are rounded to float32 first, as a framework does that keeps them there.
        options: ``slope``, ``alpha``, ``maximum``, ``threshold``, ``axis``, as the function has them.
    """
    number = (lambda v: float(np.float32(v))) if single else float
    options = {k: number(v) if isinstance(v, float) else v for k, v in options.items()}
    return ACTIVATIONS[kind](x, number, **options)


def _relu(x, number, slope=0.0, maximum=None, threshold=0.0):
    y = torch.where(x > threshold, x, slope * (x - threshold)) if slope or threshold else F.relu(x)
    return y if maximum is None else y.clamp(max=maximum)


def _gelu_tanh(x, number):
    inner = 0.7978845608028654 * (x + number(0.044715) * x**3)
    return 0.5 * x * (1 + torch.tanh(inner))


def _softmax(x, number, axis=-1):
    return F.softmax(x, dim=axis)


ACTIVATIONS: dict = {
    "linear": lambda x, n: x,
    "relu": _relu,
    "relu6": lambda x, n: x.clamp(0, 6),
    "leaky_relu": lambda x, n, slope=0.2: torch.where(x > 0, x, n(slope) * x),
    "gelu": lambda x, n: 0.5 * x * (1 + torch.erf(x * n(0.7071067811865476))),
    "gelu_tanh": _gelu_tanh,
    "silu": lambda x, n: x * torch.sigmoid(x),
    "hard_sigmoid": lambda x, n: (x * n(1 / 6) + 0.5).clamp(0, 1),
    "hard_silu": lambda x, n: x * (x * n(1 / 6) + 0.5).clamp(0, 1),
    "hard_tanh": lambda x, n: x.clamp(-1, 1),
    "elu": lambda x, n, alpha=1.0: torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0))),
    "celu": lambda x, n, alpha=1.0: torch.where(x > 0, x, alpha * torch.expm1((x / alpha).clamp(max=0))),
    "selu": lambda x, n: (
        n(1.0507009873554805) * torch.where(x > 0, x, n(1.6732632423543772) * torch.expm1(x.clamp(max=0)))
    ),
    "softplus": lambda x, n: torch.logaddexp(x, torch.zeros_like(x)),
    "softsign": lambda x, n: x / (1 + x.abs()),
    "sigmoid": lambda x, n: torch.sigmoid(x),
    "log_sigmoid": lambda x, n: F.logsigmoid(x),
    "tanh": lambda x, n: torch.tanh(x),
    "mish": lambda x, n: x * torch.tanh(F.softplus(x)),
    "exponential": lambda x, n: x.exp(),
    "softmax": _softmax,
    "log_softmax": lambda x, n, axis=-1: F.log_softmax(x, dim=axis),
    "tanh_shrink": lambda x, n: x - torch.tanh(x),
    "soft_shrink": lambda x, n, threshold=0.5: F.softshrink(x, threshold),
    "hard_shrink": lambda x, n, threshold=0.5: F.hardshrink(x, threshold),
}


def pool(x, kind, window, stride, pads, zeros=False):
    """Pool as Keras does: zeros or minus infinity on each side, padding never counted."""
    sides = [side for pair in reversed(pads) for side in pair]
    rank = len(window)
    if kind == "max_pool" and zeros:
        return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1](F.pad(x, sides), window, stride)
    if kind == "max_pool":
        return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1](
            F.pad(x, sides, value=float("-inf")), window, stride
        )
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
    total = function(F.pad(x, sides), window, stride)
    if zeros:
        return total
    count = function(F.pad(torch.ones_like(x[:1, :1]), sides), window, stride)
    return total / count


def resize(x, size, mode="bilinear", single=True):
    """Resize with half-pixel centres as TensorFlow does, which computes bilinear resizing in float32."""
    if mode == "nearest":
        for axis, length in enumerate(size, 2):
            index = (
                ((torch.arange(length) + 0.5) * (x.shape[axis] / length))
                .floor()
                .long()
                .clamp(max=x.shape[axis] - 1)
            )
            x = x.index_select(axis, index)
        return x
    if single:
        return _Bilinear.apply(x, size) if len(size) == 2 else x
    for axis, length in reversed(list(enumerate(size, 2))):
        x = _interpolated(x, axis, length)
    return x


def _interpolated(x, axis, length):
    scale = torch.tensor(x.shape[axis] / length, dtype=x.dtype)
    at = (torch.arange(length, dtype=x.dtype) + 0.5) * scale - 0.5
    below = at.floor()
    share = at - below
    low, high = below.clamp(min=0).long(), (below + 1).clamp(max=x.shape[axis] - 1).long()
    shape = [-1 if a == axis else 1 for a in range(x.dim())]
    a, b = x.index_select(axis, low), x.index_select(axis, high)
    return a + (b - a) * share.reshape(shape)


class _Bilinear(torch.autograd.Function):
    """TensorFlow's bilinear resizing of ``(N, C, H, W)``: all in float32 but for the sums of gradients."""

    @staticmethod
    def forward(ctx, x, size):
        ctx.shape, ctx.size = x.shape, size
        y = x.float()
        for axis, length in ((3, size[1]), (2, size[0])):
            y = _interpolated(y, axis, length)
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        rows, columns = (_shares(ctx.shape[axis], length) for axis, length in enumerate(ctx.size, 2))
        total = gradient.new_zeros(ctx.shape)
        single = gradient.float()
        for row, down in rows:
            part = single * down[:, None]
            for column, across in columns:
                whole = torch.zeros(*ctx.shape[:2], ctx.shape[2], ctx.size[1], dtype=gradient.dtype)
                whole.index_add_(2, row, (part * across).to(gradient.dtype))
                total.index_add_(3, column, whole)
        return total, None


def _shares(size, length):
    """For each place of the result its two neighbours, and what each has of it."""
    at = (torch.arange(length, dtype=torch.float32) + 0.5) * torch.tensor(size / length).float() - 0.5
    below = at.floor()
    share = at - below
    low, high = below.clamp(min=0).long(), (below + 1).clamp(max=size - 1).long()
    return [(low, 1 - share), (high, share)]
