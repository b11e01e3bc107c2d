"""What a call of a Keras layer or operation is, in neutral words: its kind, its facts and the arrays that it reads."""

from keras import layers as L

from . import spatial

_SAME_KIND = {
    L.Dense: "dense",
    L.EinsumDense: "dense",
    L.BatchNormalization: "batch_norm",
    L.LayerNormalization: "layer_norm",
    L.GroupNormalization: "group_norm",
    L.RMSNormalization: "rms_norm",
    L.Embedding: "embedding",
    L.PReLU: "prelu",
    L.Dropout: "dropout",
    L.SpatialDropout1D: "dropout",
    L.SpatialDropout2D: "dropout",
    L.SpatialDropout3D: "dropout",
    L.AlphaDropout: "dropout",
    L.GaussianDropout: "dropout",
    L.GaussianNoise: "noise",
    L.Flatten: "flatten",
    L.Reshape: "reshape",
    L.Permute: "permute",
    L.RepeatVector: "repeat",
    L.Add: "add",
    L.Subtract: "subtract",
    L.Multiply: "multiply",
    L.Average: "average",
    L.Maximum: "maximum",
    L.Minimum: "minimum",
    L.Concatenate: "concat",
    L.Dot: "matmul",
    L.Rescaling: "rescale",
    L.Normalization: "standardize",
    L.Identity: "identity",
    L.Masking: "masking",
    L.ReLU: "relu",
    L.LeakyReLU: "leaky_relu",
    L.ELU: "elu",
    L.Softmax: "softmax",
    L.Resizing: "resize",
}
_ROLES = {
    "batch_norm": {"moving_mean": "mean", "moving_variance": "variance"},
    "rms_norm": {"scale": "gamma"},
}
_PATHS = ("stochasticdepth", "droppath", "drop_path")  # layers that people write to drop whole samples
RECURRENT = (L.LSTM, L.GRU, L.SimpleRNN, L.RNN)
LEAVES = (*RECURRENT, L.Bidirectional, L.TimeDistributed)  # what holds layers but is one step of a pass
# an operation's class, where it isn't its kind in lower case
_OPERATIONS = {
    "TrueDivide": "divide",
    "Divide": "divide",
    "GetItem": "getitem",
    "Concatenate": "concat",
    "Transpose": "permute",
    "Max": "amax",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "LeakyRelu": "leaky_relu",
    "LogSoftmax": "log_softmax",
    "LogSigmoid": "log_sigmoid",
    "SquaredDifference": "squared_difference",
}


def describe(layer, shapes, output):
    """Say what a layer or operation does.

    Args:
        shapes: of what goes in.
        output: shape of what comes out.

    Returns:
        Its kind, and its facts as plain numbers, lists and words.
    """
    kind = next((name for cls, name in _SAME_KIND.items() if type(layer) is cls), None)
    kind = kind or next((name for cls, name in _SAME_KIND.items() if isinstance(layer, cls)), None)
    shape = shapes[0] if shapes else []
    facts = {"shape": list(output), "type": type(layer).__name__}
    found = spatial.describe(layer, shape, output) or _recurrent(layer)
    if found is not None:
        return found[0], {**facts, **found[1]}
    if isinstance(layer, L.Activation):
        name, options = activation(layer.activation)
        return name, {**facts, **options}
    if isinstance(layer, L.TimeDistributed):
        inner, more = describe(layer.layer, [[shape[0], *shape[2:]]] if shape else [], output)
        return inner, {**facts, **more, "type": type(layer.layer).__name__}
    if type(layer) is L.Attention and not layer.use_scale and layer.score_mode == "dot":
        return "attention", {**facts, "attention_scale": 1.0, "dropout_p": rate(layer, "dropout")}
    if kind is None and not isinstance(layer, L.Layer):
        return _operation(layer, facts)
    if kind is None and any(word in type(layer).__name__.lower() for word in _PATHS):
        share = max(rate(layer, key) for key in ("drop_path_rate", "drop_prob", "drop_rate", "rate"))
        return "dropout", {**facts, "rate": share, "drops": "samples"}
    if kind is None and "dropout" in type(layer).__name__.lower() and not getattr(layer, "_layers", None):
        return "dropout", {**facts, "rate": rate(layer, "rate"), "drops": "values"}
    if kind is None:
        return ("custom" if layer.weights else "other"), {**facts, **_constants(layer)}
    return kind, {**facts, **_plain_facts(kind, layer)}


def activation(function):
    """The neutral name of an activation and its options.

    Args:
        function: what a layer's ``activation`` is: a function, or a layer.
    """
    if function is None:
        return "linear", {}
    if isinstance(function, L.Layer):
        kind, facts = describe(function, [], [])
        return kind, {key: value for key, value in facts.items() if key not in ("shape", "type")}
    name = getattr(function, "__name__", type(function).__name__)
    known = {"swish": "silu", "hard_swish": "hard_silu", "<lambda>": "other"}
    return known.get(name, name), ({"slope": 0.2} if name == "leaky_relu" else {})


def arrays(layer, path):
    """The arrays that a layer reads: role, name, shape.

    Args:
        path: the layer's in its model; an array's name starts with it.
    """
    if isinstance(layer, L.Bidirectional):
        return [
            {**one, "role": f"{side}_{one['role']}"}
            for side, inner in (("forward", layer.forward_layer), ("backward", layer.backward_layer))
            for one in arrays(inner, f"{path}/{side}")
        ]
    if isinstance(layer, L.TimeDistributed):
        return arrays(layer.layer, path)
    kind = next((name for cls, name in _SAME_KIND.items() if isinstance(layer, cls)), "")
    roles, found, used = _ROLES.get(kind, {}), [], {}
    for weight in own_weights(layer):
        used[weight.name] = used.get(weight.name, -1) + 1
        own = weight.name + (f"_{used[weight.name]}" if used[weight.name] else "")
        found.append(
            {
                "role": roles.get(own, own),
                "name": f"{path}/{own}",
                "shape": list(weight.shape),
                "variable": weight,
            }
        )
    return found


def rate(layer, key):
    """A rate of dropout; the layer's own while it is switched off."""
    return float(getattr(layer, f"own_{key}", None) or getattr(layer, key, 0.0) or 0.0)


def own_weights(layer):
    """The floating-point weights that a layer holds itself; a recurrent layer's cell is a part of it."""
    weights = [weight for weight in getattr(layer, "weights", []) if "float" in str(weight.dtype)]
    if isinstance(layer, RECURRENT) or not hasattr(layer, "_flatten_layers"):
        return weights
    parts = layer._flatten_layers(include_self=False, recursive=False)
    theirs = {id(weight) for part in parts for weight in part.weights}
    return [weight for weight in weights if id(weight) not in theirs]


def _recurrent(layer):
    if isinstance(layer, L.Bidirectional):
        found = _recurrent(layer.forward_layer)
        return None if found is None else (found[0], {**found[1], "directions": 2, "merge": layer.merge_mode})
    if not isinstance(layer, L.RNN):
        return None
    cell = layer.cell
    kinds = {L.LSTMCell: "lstm", L.GRUCell: "gru", L.SimpleRNNCell: "rnn"}
    kind = next((name for cls, name in kinds.items() if isinstance(cell, cls)), "custom")
    if kind == "custom":
        return kind, {}
    return kind, {
        "units": cell.units,
        "activation": activation(cell.activation)[0],
        "recurrent": activation(getattr(cell, "recurrent_activation", None))[0],
        "bias": bool(cell.use_bias),
        "reset_after": getattr(cell, "reset_after", None),
        "sequences": layer.return_sequences,
        "backwards": layer.go_backwards,
        "rate": max(rate(cell, "dropout"), rate(cell, "recurrent_dropout")),
        "directions": 1,
    }


def _plain_facts(kind, layer):
    """The facts of what needs no more than its attributes."""
    if kind == "dense":
        return {
            "bias": layer.bias is not None,
            "units": getattr(layer, "units", None),
            "in_axes": _in_axes(layer),
        }
    if kind.endswith("_norm"):
        axis = getattr(layer, "axis", -1)
        facts = {"epsilon": layer.epsilon, "axis": list(axis) if isinstance(axis, (list, tuple)) else [axis]}
        facts |= {
            key: getattr(layer, key)
            for key in ("center", "scale", "groups")
            if isinstance(getattr(layer, key, None), (bool, int))
        }
        if kind == "batch_norm":
            facts |= {"decay": layer.momentum, "trainable": layer.trainable}
        return facts
    if kind == "dropout":
        return {"rate": rate(layer, "rate"), "drops": _dropped(layer)}
    if kind == "noise":
        return {"rate": rate(layer, "stddev")}
    if kind == "rescale":
        return {"scale": layer.scale, "offset": layer.offset}
    if kind == "relu":
        return {
            "maximum": layer.max_value,
            "slope": _number(layer.negative_slope),
            "threshold": _number(layer.threshold),
        }
    if kind == "leaky_relu":
        return {"slope": _number(layer.negative_slope)}
    if kind == "elu":
        return {"alpha": _number(layer.alpha)}
    if kind == "softmax":
        return {"axis": layer.axis}
    if kind == "concat":
        return {"axis": layer.axis}
    if kind == "reshape":
        return {"target": list(layer.target_shape)}
    if kind == "permute":
        return {"dims": list(layer.dims)}
    return {}


def _dropped(layer):
    """What a layer drops: single values, whole channels, whole samples, or none: it adds or multiplies noise."""
    name, shape = type(layer).__name__, getattr(layer, "noise_shape", None)
    if name.startswith("Spatial"):
        return "channels"
    if name in ("AlphaDropout", "GaussianDropout"):
        return name.removesuffix("Dropout").lower()
    if shape is None or all(size is None for size in shape):
        return "values"
    return "samples" if all(size == 1 for size in shape[1:]) else "channels"


def _in_axes(layer):
    """The axes of a dense kernel that are summed over."""
    if not isinstance(layer, L.EinsumDense):
        return [0]
    data, kernel = layer.equation.split("->")[0].split(",")
    return [axis for axis, letter in enumerate(kernel) if letter in data]


def _operation(operation, facts):
    """An operation of a functional graph, such as ``x + y``."""
    name = type(operation).__name__
    kind = _OPERATIONS.get(name, name.lower())
    found = _constants(operation)
    if kind == "leaky_relu":
        found["slope"] = found.get("negative_slope", 0.2)
    if kind == "gelu" and found.get("approximate"):
        kind = "gelu_tanh"
    return kind, {**facts, **found}


def _constants(thing):
    """Public attributes that are plain numbers."""
    found = {}
    for key, value in vars(thing).items():
        plain = isinstance(value, (bool, int, float)) or (
            isinstance(value, (tuple, list)) and all(isinstance(part, int) for part in value)
        )
        if (
            plain
            and not key.startswith("_")
            and key not in ("built", "trainable", "autocast", "supports_masking")
        ):
            found[key] = list(value) if isinstance(value, (tuple, list)) else value
    return found


def _number(value):
    return float(value) if value is not None else 0.0
