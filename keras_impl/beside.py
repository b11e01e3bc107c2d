"""What a call has besides the tensors that it reads: masks, an activation of its own, plain numbers, penalties.

Keras hands a mask on beside a tensor: steps of a sequence, or places that attention may not look at, that a layer
leaves out. PyTorch's modules know none unless they are given one.
"""

from contextlib import nullcontext
from inspect import signature

import keras
import numpy as np
from keras import ops, tree

from . import kinds
from .keeping import replaced


def mask(layer, args, kwargs):
    """Find the mask that a layer's call takes, from its arguments or from the tensor that it reads.

    Args:
        layer: a layer or an operation; one whose ``call`` knows no mask takes none.
        args, kwargs: the call's.

    Returns:
        True where something counts; None where there is no mask, or one that leaves nothing out.
    """
    if not isinstance(layer, keras.layers.Layer) or "mask" not in signature(layer.call).parameters:
        return None
    own = kwargs.get("mask")
    if own is None:
        found = (getattr(x, "_keras_mask", None) for x in tree.flatten(args))
        own = next((one for one in found if one is not None), None)
    return _counted(own)


def attention_mask(layer, tell):
    """Find the mask that an attention layer computes with, which it may make itself.

    Args:
        layer: the layer; None, or one that doesn't compute so, changes nothing.
        tell: is called with the layer and its mask, True where it may look.
    """
    if layer is None or not hasattr(layer, "_compute_attention"):
        return nullcontext()
    own = layer._compute_attention

    def compute(query, key, value, attention_mask=None, *args, **kwargs):
        made = attention_mask
        if made is None and kwargs.get("use_causal_mask"):
            made = np.tril(np.ones((query.shape[1], key.shape[1]), bool))
        tell(layer, _counted(made))
        return own(query, key, value, attention_mask, *args, **kwargs)

    return replaced(layer, _compute_attention=compute)


def activation(layer, seen):
    """Have a layer's own activation write down what goes into it, its name and its options.

    Args:
        layer: a layer or an operation; one without an activation of its own changes nothing.
        seen: a list, which is added to.
    """
    own = getattr(layer, "activation", None)
    skip = not isinstance(layer, keras.layers.Layer) or isinstance(
        layer, (keras.layers.Activation, *kinds.LEAVES)
    )
    if skip or not callable(own):
        return nullcontext()
    name, options = kinds.activation(own)

    def record(x, *args, **kwargs):
        seen.append((x, name, options))
        return own(x, *args, **kwargs)

    return replaced(layer, activation=record)


def numbers(operation, args):
    """The plain number that an operation such as ``x * 2`` takes besides, and whether it stands first."""
    plain = [n for n, x in enumerate(args) if isinstance(x, (int, float)) and not isinstance(x, bool)]
    if isinstance(operation, keras.layers.Layer) or len(args) != 2 or len(plain) != 1:
        return {}
    return {"other": float(args[plain[0]]), "turned": plain[0] == 0}


def penalties(layer):
    """Factors of L2 (and L1) by the array's name that they are on."""
    found = {}
    for key, value in vars(layer).items():
        if key.endswith("_regularizer") and value is not None:
            l1, l2 = (float(getattr(value, name, 0.0) or 0.0) for name in ("l1", "l2"))
            found[key.removesuffix("_regularizer")] = [l1, l2]
    return found


def _counted(mask):
    array = None if mask is None else np.array(ops.convert_to_numpy(mask)).astype(bool)
    return None if array is None or array.all() else array
