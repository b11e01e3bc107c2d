"""One call of PyTorch's functions computed otherwise: what a cause is tried with, on a copy of somebody's model."""

import numpy as np
import torch
import torch.nn.functional as F

from . import kinds


def apply(edits, name, func, args, kwargs, note=lambda x: None):
    """Compute a call with changes.

    Args:
        edits: dicts with ``do``:
            ``set`` (``arguments``: names of `kinds.SIGNATURES` -> values),
            ``function`` (``name`` of `FUNCTIONS` and ``options``, in place of the call),
            ``before`` and ``after`` (the same, on what goes in or comes out),
            ``identity``.
        name, func, args, kwargs: the call.
        note: is given what goes in after a ``before``: a value that the other model has, perhaps.
    """
    kind, bound = kinds.bind(name, args, kwargs)
    run = None
    after = []
    for edit in edits:
        do = edit["do"]
        if do == "set":
            bound = {**bound, **{key: _value(value) for key, value in edit["arguments"].items()}}
            run = run or IMPLEMENTATIONS.get(kind) or _rebuilt(name, func, args, kwargs)
        elif do == "identity":
            run = _first
        elif do == "weight":
            bound = {**bound, **_turned(bound, edit)}
            run = run or _rebuilt(name, func, args, kwargs)
        elif do == "parts":
            parts = _rebuilt(name, func, args, kwargs)
            run = lambda bound, parts=parts, order=edit["order"]: _ordered(parts(bound), order)  # noqa: E731
        elif do == "function" and edit["name"] == "spread":
            bound = {key: value for key, value in bound.items() if key != "correction"} | {"unbiased": False}
            given = {key: value for key, value in kwargs.items() if key != "correction"}
            run = _rebuilt(name, func, args, given)
        elif do == "function":
            run = _Function(edit)
        elif do == "before":
            bound = {**bound, "input": _Function(edit)({"input": _first(bound)})}
            note(bound["input"])
            run = run or _rebuilt(name, func, args, kwargs)
        elif do == "after":
            after.append(_Function(edit))
    output = (run or _rebuilt(name, func, args, kwargs))(bound)
    for function in after:
        output = function({"input": output})
    return output


class _Function:
    def __init__(self, edit):
        self.name, self.options = edit["name"], edit.get("options", {})

    def __call__(self, bound):
        x = _first(bound)
        return (
            FUNCTIONS[self.name](x, **self.options)
            if self.name in FUNCTIONS
            else KINDS[self.name](bound, **self.options)
        )


def _first(bound):
    x = bound.get("input", bound.get("tensors"))
    if not isinstance(x, torch.Tensor):
        x = next(value for value in bound.values() if isinstance(value, torch.Tensor))
    return x


def _turned(bound, edit):
    """The kernel with its axes in another order, or turned round."""
    key = "weight" if "weight" in bound else "other"
    weight = bound[key]
    if "flip" in edit:
        return {key: weight.flip(edit["flip"])}
    return {key: weight.permute(edit["axes"]) if weight.dim() == len(edit["axes"]) else weight.mT}


def _ordered(parts, order):
    return tuple(parts[n] for n in order)


def _rebuilt(name, func, args, kwargs):
    names = kinds.SIGNATURES.get(name, (name, ("input", "other")))[1]

    def run(bound):
        if names[0] == "equation":
            return func(*bound.values())
        positional = [bound[key] for key in names[: len(args)] if key in bound]
        if len(args) > len(names):  # view(x, 2, 3)
            positional = (
                [*positional[:-1], *bound[names[-1]]] if isinstance(bound[names[-1]], tuple) else positional
            )
        known = {key: value for key, value in kwargs.items() if key not in bound}
        given = {key: bound[key] for key in kwargs if key in bound}
        extra = {
            k: v for k, v in bound.items() if k not in given and k not in names[: len(args)] and k != "window"
        }
        return func(*positional, **known, **given, **extra)

    return run


def _value(value):
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value, order="C")).to(torch.get_default_dtype())
    return tuple(value) if isinstance(value, list) else value


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
        spread = x.var(axes, unbiased=bound.get("normalises", "biased") == "unbiased")
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
    y = (x - mean) * torch.rsqrt(variance + bound.get("eps", 1e-5))
    y = y if gamma is None else y * _along(gamma, axes, x)
    return y if beta is None else y + _along(beta, axes, x)


def _along(array, axes, x):
    return array.reshape(
        [x.shape[a] if a in [axis % x.dim() for axis in axes] else 1 for a in range(x.dim())]
    )


def group_norm(bound):
    """Normalise over groups of channels, the second axis's."""
    gamma, beta = bound.get("weight"), bound.get("bias")
    return F.group_norm(bound["input"], bound["num_groups"], gamma, beta, bound.get("eps", 1e-5))


def lstm(bound, recurrent="sigmoid", activation="tanh", gates="ifgo"):
    """Compute `torch.lstm`'s layers step by step with another activation or order of gates."""
    return _recurrent(bound, _Cell("lstm", recurrent, activation, gates))


def gru(bound, recurrent="sigmoid", activation="tanh", gates="rzn", reset_after=True):
    """Compute `torch.gru`'s layers step by step; ``reset_after`` is Keras's word for where the reset gate stands."""
    return _recurrent(bound, _Cell("gru", recurrent, activation, gates, reset_after))


def rnn(bound, recurrent="", activation="tanh", gates=""):
    """Compute `torch.rnn_tanh`'s layers step by step with another activation."""
    return _recurrent(bound, _Cell("rnn", recurrent, activation, gates))


class _Cell:
    def __init__(self, kind, recurrent, activation, gates, reset_after=True):
        self.kind, self.gates, self.reset_after = kind, gates, reset_after
        self.inner = (lambda x: activate(x, recurrent)) if recurrent else None
        self.outer = lambda x: activate(x, activation)

    def __call__(self, x, state, w_ih, w_hh, b_ih=None, b_hh=None):
        h = state[0]
        if self.kind == "rnn":
            return (self.outer(F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh)),)
        if self.kind == "lstm":
            parts = (F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, -1)
            gate = dict(zip(self.gates, parts, strict=True))
            c = self.inner(gate["f"]) * state[1] + self.inner(gate["i"]) * self.outer(gate["g"])
            return self.inner(gate["o"]) * self.outer(c), c
        ours = dict(zip(self.gates, F.linear(x, w_ih, b_ih).chunk(3, -1), strict=True))
        theirs = dict(zip(self.gates, F.linear(h, w_hh, b_hh).chunk(3, -1), strict=True))
        r, z = self.inner(ours["r"] + theirs["r"]), self.inner(ours["z"] + theirs["z"])
        if self.reset_after:
            n = self.outer(ours["n"] + r * theirs["n"])
        else:
            w = dict(zip(self.gates, w_hh.chunk(3), strict=True))["n"]
            b = None if b_hh is None else dict(zip(self.gates, b_hh.chunk(3), strict=True))["n"]
            n = self.outer(ours["n"] + F.linear(r * h, w, b))
        return ((1 - z) * n + z * h,)


def _recurrent(bound, cell):
    x, hx = bound["input"], bound["hx"]
    if "params" not in bound:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        state = hx if isinstance(hx, (tuple, list)) else (hx,)
        found = cell(x, state, *(bound.get(name) for name in names))
        return found if cell.kind == "lstm" else found[0]
    directions, each = 1 + bool(bound.get("bidirectional")), 4 if bound.get("has_biases", True) else 2
    first = bound.get("batch_first", False)
    x = x.transpose(0, 1) if first else x
    hx = hx if isinstance(hx, (tuple, list)) else (hx,)
    last, params = [], list(bound["params"])
    for layer in range(bound["num_layers"]):
        found = []
        for direction in range(directions):
            number = layer * directions + direction
            state = tuple(part[number] for part in hx)
            weights = params[number * each : (number + 1) * each]
            steps = []
            for t in range(len(x))[:: -1 if direction else 1]:
                state = cell(x[t], state, *weights)
                steps.append(state[0])
            found.append(torch.stack(steps[:: -1 if direction else 1]))
            last.append(state)
        x = torch.cat(found, -1)
    ends = tuple(torch.stack(parts) for parts in zip(*last, strict=True))
    return (x.transpose(0, 1) if first else x, *ends)


IMPLEMENTATIONS = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
}


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
    "quick_gelu": lambda x, n: x * torch.sigmoid(n(1.702) * x),
    "silu": lambda x, n: x * torch.sigmoid(x),
    "hard_sigmoid": lambda x, n: (x * n(1 / 6) + 0.5).clamp(0, 1),
    "hard_sigmoid_old": lambda x, n: (x * n(0.2) + 0.5).clamp(0, 1),
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


def _norm_twice(x, eps=1e-5):
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)


def _permute_reshape(x, dims, shape, swap=False):
    made = x.permute(dims).reshape([len(x), *shape])
    return made.transpose(1, 2) if swap else made


def _norm_over(bound, axes):
    """Layer normalisation over other axes; gamma and beta lie along them."""
    return layer_norm({**bound, "axes": axes})


def _grouped(bound, groups):
    """Normalisation over groups of channels, the second axis's, whatever stands there."""
    return group_norm({**bound, "num_groups": groups})


def _batch_norm_axis(bound, axis):
    return batch_norm({**bound, "input": bound["input"].movedim(axis, 1)}).movedim(1, axis)


def _attend(bound, scale=None, single=False):
    """Scaled dot-product attention written out."""
    q, k, v = bound["input"], bound["key"], bound["value"]
    scale = scale or bound.get("scale") or q.shape[-1] ** -0.5
    scores = (q * (float(np.float32(scale)) if single else scale)) @ k.transpose(-2, -1)
    mask = bound.get("attn_mask")
    if bound.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return F.softmax(scores, -1) @ v


KINDS = {
    **IMPLEMENTATIONS,
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
    "norm_over": _norm_over,
    "grouped": _grouped,
    "batch_norm_axis": _batch_norm_axis,
    "attend": _attend,
}


FUNCTIONS: dict = {
    "permute_reshape": _permute_reshape,
    "value": lambda x, array: torch.from_numpy(np.array(array)).to(x.dtype),
    "activate": activate,
    "pad": lambda x, sides, value=0.0: F.pad(x, sides, value=value),
    "affine": lambda x, scale=1.0, offset=0.0, last=False: (
        x * _constant(scale, x, last) + _constant(offset, x, last)
    ),
    "permute": lambda x, dims: x.permute(dims),
    "reshape": lambda x, shape: x.reshape([len(x), *shape]),
    "channels_last_reshape": lambda x, shape: x.movedim(1, -1).reshape([len(x), *shape]),
    "flip": lambda x, axis: x.flip(axis),
    "mean": lambda x, axes, keepdim=False: x.mean(axes, keepdim=keepdim),
    "amax": lambda x, axes, keepdim=False: x.amax(axes, keepdim=keepdim),
    "pool": lambda x, **options: _pool(x, **options),
    "resize": lambda x, **options: _resize(x, **options),
    "zeros": lambda x: torch.zeros_like(x),
}


def _constant(value, x, last=False):
    """A number, or one for each channel of ``(N, C, ...)``, or of ``(N, ..., C)``."""
    if not isinstance(value, (list, tuple)):
        return value
    return torch.tensor(value, dtype=x.dtype).reshape(-1, *[1] * (0 if last else x.dim() - 2))


def _pool(x, kind, window, stride, pads, zeros=False):
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


def _resize(x, size, mode="bilinear", single=True):
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
