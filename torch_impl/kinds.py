"""What a call of PyTorch's functions is, in neutral words: its kind, its facts and the arrays that it reads."""

import numpy as np

_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TURNED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_POOL = ("input", "window", "stride", "padding", "dilation", "ceil_mode")
_MEAN = ("input", "window", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
_RNN = (
    "input", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first",
)  # fmt: skip
_CELL = ("input", "hx", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
# function -> (kind, its arguments in order)
SIGNATURES = {
    **{f"conv{n}d": ("conv", _CONV) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": ("conv_transpose", _TURNED) for n in (1, 2, 3)},
    "linear": ("dense", ("input", "weight", "bias")),
    "addmm": ("addmm", ("bias", "input", "weight")),
    "bilinear": ("bilinear", ("input", "input2", "weight", "bias")),
    "batch_norm": (
        "batch_norm",
        ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    ),
    "instance_norm": (
        "instance_norm",
        ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
    ),
    "layer_norm": ("layer_norm", ("input", "normalized_shape", "weight", "bias", "eps")),
    "group_norm": ("group_norm", ("input", "num_groups", "weight", "bias", "eps")),
    "rms_norm": ("rms_norm", ("input", "normalized_shape", "weight", "eps")),
    "embedding": ("embedding", ("input", "weight", "padding_idx", "max_norm")),
    "prelu": ("prelu", ("input", "weight")),
    "lstm": ("lstm", _RNN),
    "gru": ("gru", _RNN),
    "rnn_tanh": ("rnn", _RNN),
    "rnn_relu": ("rnn", _RNN),
    "lstm_cell": ("lstm", _CELL),
    "gru_cell": ("gru", _CELL),
    "rnn_tanh_cell": ("rnn", _CELL),
    "rnn_relu_cell": ("rnn", _CELL),
    **dict.fromkeys(("matmul", "__matmul__", "mm", "bmm", "__rmatmul__"), ("matmul", ("input", "other"))),
    "einsum": ("matmul", ("equation", "input", "other")),
    "scaled_dot_product_attention": (
        "attention",
        ("input", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale"),
    ),
    **{f"max_pool{n}d": ("max_pool", _POOL) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": ("mean_pool", _MEAN) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": ("adaptive_pool", ("input", "size")) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": ("adaptive_max_pool", ("input", "size")) for n in (1, 2, 3)},
    "pad": ("pad", ("input", "pad", "mode", "value")),
    "interpolate": (
        "resize",
        ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias"),
    ),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
        ("dropout", ("input", "p", "training", "inplace")),
    ),
    "mean": ("mean", ("input", "dim", "keepdim")),
    "sum": ("sum", ("input", "dim", "keepdim")),
    "amax": ("amax", ("input", "dim", "keepdim")),
    "max": ("max", ("input", "dim", "keepdim")),
    "var": ("var", ("input", "dim", "unbiased", "keepdim")),
    "std": ("std", ("input", "dim", "unbiased", "keepdim")),
    "var_mean": ("var", ("input", "dim", "unbiased", "keepdim")),
    "std_mean": ("std", ("input", "dim", "unbiased", "keepdim")),
    "normalize": ("normalize", ("input", "p", "dim", "eps")),
    "flatten": ("flatten", ("input", "start_dim", "end_dim")),
    **dict.fromkeys(("reshape", "view", "unflatten"), ("reshape", ("input", "shape"))),
    **dict.fromkeys(("permute", "movedim", "moveaxis", "swapaxes"), ("permute", ("input", "dims"))),
    **dict.fromkeys(("transpose", "t", "T", "mT", "swapdims"), ("transpose", ("input", "dim0", "dim1"))),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack"), ("concat", ("tensors", "dim"))),
    **dict.fromkeys(("__getitem__", "select", "narrow", "index_select"), ("getitem", ("input", "index"))),
    **dict.fromkeys(("chunk", "split", "unbind", "tensor_split"), ("split", ("input", "size", "dim"))),
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__", "add_"), ("add", ("input", "other"))),
    **dict.fromkeys(
        ("sub", "__sub__", "__rsub__", "sub_", "__isub__", "rsub"), ("subtract", ("input", "other"))
    ),
    **dict.fromkeys(
        ("mul", "__mul__", "__rmul__", "__imul__", "mul_", "multiply"), ("multiply", ("input", "other"))
    ),
    **dict.fromkeys(
        ("div", "__truediv__", "__rtruediv__", "div_", "true_divide", "__rdiv__", "divide", "__itruediv__"),
        ("divide", ("input", "other")),
    ),
    **dict.fromkeys(("pow", "__pow__", "square", "pow_"), ("power", ("input", "other"))),
    **dict.fromkeys(("sqrt", "rsqrt", "sqrt_", "rsqrt_"), ("root", ("input",))),
    **dict.fromkeys(("relu", "relu_"), ("relu", ("input", "inplace"))),
    "relu6": ("relu6", ("input", "inplace")),
    "gelu": ("gelu", ("input", "approximate")),
    "silu": ("silu", ("input", "inplace")),
    "mish": ("mish", ("input", "inplace")),
    "hardswish": ("hard_silu", ("input", "inplace")),
    "hardsigmoid": ("hard_sigmoid", ("input", "inplace")),
    **dict.fromkeys(
        ("clamp", "clip", "clamp_", "clamp_min", "clamp_max"), ("clamp", ("input", "min", "max"))
    ),
    "hardtanh": ("clamp", ("input", "min_val", "max_val", "inplace")),
    **dict.fromkeys(("leaky_relu", "leaky_relu_"), ("leaky_relu", ("input", "negative_slope", "inplace"))),
    **dict.fromkeys(("elu", "elu_"), ("elu", ("input", "alpha", "inplace"))),
    "selu": ("selu", ("input", "inplace")),
    "celu": ("celu", ("input", "alpha", "inplace")),
    "softplus": ("softplus", ("input", "beta", "threshold")),
    "softsign": ("softsign", ("input",)),
    **dict.fromkeys(("sigmoid", "sigmoid_", "expit"), ("sigmoid", ("input",))),
    **dict.fromkeys(("tanh", "tanh_"), ("tanh", ("input",))),
    "logsigmoid": ("log_sigmoid", ("input",)),
    "softmax": ("softmax", ("input", "dim")),
    "log_softmax": ("log_softmax", ("input", "dim")),
    "tanhshrink": ("tanh_shrink", ("input",)),
    "softshrink": ("soft_shrink", ("input", "lambd")),
    "hardshrink": ("hard_shrink", ("input", "lambd")),
    "threshold": ("threshold", ("input", "threshold", "value")),
    "exp": ("exponential", ("input",)),
}
# argument -> what an array is called
ROLES = {
    "conv": {"weight": "kernel", "bias": "bias"},
    "conv_transpose": {"weight": "kernel", "bias": "bias"},
    "dense": {"weight": "kernel", "bias": "bias"},
    "addmm": {"weight": "kernel", "bias": "bias"},
    "batch_norm": {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"},
    "instance_norm": {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"},
    "layer_norm": {"weight": "gamma", "bias": "beta"},
    "group_norm": {"weight": "gamma", "bias": "beta"},
    "rms_norm": {"weight": "gamma"},
    "embedding": {"weight": "embeddings"},
    "prelu": {"weight": "alpha"},
}
# what moves a weight's elements about and computes nothing
MOVES = {
    "t", "T", "mT", "transpose", "permute", "reshape", "view", "flatten", "squeeze", "unsqueeze", "chunk", "split",
    "unbind", "__getitem__", "narrow", "select", "movedim", "moveaxis", "swapaxes", "expand", "contiguous",
    "unflatten", "detach", "data", "expand_as", "repeat", "index_select", "to", "double", "flip", "roll", "view_as",
    "clone", "type_as",
}  # fmt: skip


def bind(name, args, kwargs):
    """Name a call's arguments, and return its kind with them."""
    kind, names = SIGNATURES.get(name, (name, ("input", "other")))
    bound = dict(zip(names, args, strict=False))
    if kind in ("reshape", "permute", "getitem", "transpose") and len(args) > len(names):
        bound[names[-1]] = tuple(args[len(names) - 1 :])
    if kind in ("reshape", "permute") and len(args) == 2 and isinstance(args[1], int):
        bound[names[-1]] = (args[1],)
    for key, value in kwargs.items():
        bound[{"kernel_size": "window", "dims": "dims", "output_size": "size"}.get(key, key)] = value
    return kind, bound


def facts(kind, name, bound, module):
    """What a call does besides the arrays that it reads: plain numbers, lists and words.

    Args:
        module: the one that the call was made in; it says what the function isn't told.
    """
    plain = {key: _plain(value) for key, value in bound.items()}
    found = {key: value for key, value in plain.items() if value is not _TENSOR}
    if name.startswith(("conv", "max_pool", "avg_pool")):
        found["rank"] = int(name[-2])
    if name.startswith(("adaptive", "dropout")) and name[-2].isdigit():
        found["rank"] = int(name[-2])
    if kind == "dropout":
        found["drops"] = "alpha" if "alpha" in name else "channels" if name[-2].isdigit() else "values"
    if kind in ("lstm", "gru", "rnn"):
        found["activation"] = "relu" if "relu" in name else "tanh"
        found["cell"] = name.endswith("_cell")
    if kind in ("batch_norm", "instance_norm") and module is not None:
        found["cumulative"] = getattr(module, "momentum", 0) is None
        # a word of `layers.BatchNorm`; anything in a person's own module
        rule = getattr(module, "variance", None)
        found["variance"] = rule if isinstance(rule, str) else "unbiased"
    if kind == "attention":
        found["masked"] = bound.get("attn_mask") is not None or bool(bound.get("is_causal"))
    if name in ("__rsub__", "rsub", "__rdiv__", "__rtruediv__"):
        found["turned"] = True
    found["function"] = name
    if module is not None and type(module).__module__.startswith("torch.nn") and not any(module.children()):
        found["module"] = type(module).__name__
    return found


def quiet(name, args, kwargs):
    """Take the randomness out of a call, and do nothing in place that a later look would need."""
    kind, bound = bind(name, args, kwargs)
    off = {}
    if kind == "dropout":
        off["training"] = False
    if kind == "attention":
        off["dropout_p"] = 0.0
    if kind in ("lstm", "gru", "rnn") and "params" in bound:
        off["dropout"] = 0.0
    if bound.get("inplace"):
        off["inplace"] = False
    if not off:
        return args, kwargs
    names = SIGNATURES[name][1]
    args = tuple(off.pop(key, value) for key, value in zip(names, args, strict=False))
    return args, {**kwargs, **off}


_TENSOR = object()  # stands where a tensor was


def _plain(value):
    """A value as JSON can hold it; tensors are left out."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        parts = [_plain(part) for part in value]
        return _TENSOR if any(part is _TENSOR for part in parts) else parts
    if isinstance(value, slice):
        return [f"slice {value.start} {value.stop} {value.step}"]
    if value is Ellipsis:
        return "..."
    if isinstance(value, np.generic):
        return value.item()
    return _TENSOR
