"""One call of PyTorch's functions changed: what a cause is tried with, on a copy of somebody's model."""

from functools import partial

import numpy as np
import torch

from . import kinds
from .computing import FUNCTIONS, IMPLEMENTATIONS, KINDS


def apply(edits, name, func, args, kwargs, note=lambda x: None):
    """Compute a call with changes.

    Args:
        edits: dicts whose ``do`` says what is changed:
            ``set``: arguments (``arguments``: names of `kinds.SIGNATURES` -> values);
            ``function``: the whole call (``name`` and ``options`` of a function of `computing`; the name ``spread``
            divides the call's own variance or deviation by n);
            ``before``, ``after``: what goes in, or what comes out (a function's ``name`` and ``options``, too);
            ``identity``: the call hands on what it is given;
            ``exchange``: the ``order`` of the tensors that it takes;
            ``parts``: the ``order`` of the tensors that it returns;
            ``weight``: the kernel's ``axes``, or the axes that it is turned round along (``flip``).
        name, func, args, kwargs: the call.
        note: is given what goes in after a ``before``: a value that the other model has, perhaps.
    """
    kind, bound = kinds.bind(name, args, kwargs)
    plain = _rebuilt(name, func, args, kwargs)
    run, after = None, []
    for edit in edits:
        do = edit["do"]
        if do == "set":
            bound = {**bound, **{key: _value(value) for key, value in edit["arguments"].items()}}
            run = run or IMPLEMENTATIONS.get(kind, plain)
        elif do == "identity":
            run = _first
        elif do == "exchange":
            bound = {**bound, **_exchanged(bound, edit["order"])}
            run = run or plain
        elif do == "weight":
            bound = {**bound, **_turned(bound, edit)}
            run = run or plain
        elif do == "parts":
            run = partial(_ordered, plain, edit["order"])
        elif do == "function" and edit["name"] == "spread":
            bound = {key: value for key, value in bound.items() if key != "correction"} | {"unbiased": False}
            given = {key: value for key, value in kwargs.items() if key != "correction"}
            run = _rebuilt(name, func, args, given)
        elif do == "function":
            run = _Function(edit)
        elif do == "before":
            bound = {**bound, "input": _Function(edit)({"input": _first(bound)})}
            note(bound["input"])
            run = run or plain
        elif do == "after":
            after.append(_Function(edit))
    output = (run or plain)(bound)
    for function in after:
        output = function({"input": output})
    return output


class _Function:
    """A function of `computing` in place of a call."""

    def __init__(self, edit):
        self.name, self.options = edit["name"], edit.get("options", {})

    def __call__(self, bound):
        if self.name in FUNCTIONS:
            return FUNCTIONS[self.name](_first(bound), **self.options)
        return KINDS[self.name](bound, **self.options)


def _first(bound):
    """The first tensor that a call takes."""
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


def _exchanged(bound, order):
    """The tensors of a call, in another order."""
    if "tensors" in bound:
        return {"tensors": [bound["tensors"][n] for n in order]}
    keys = ("input", "other")
    return {key: bound[keys[n]] for key, n in zip(keys, order, strict=True)}


def _ordered(run, order, bound):
    """What a call returns, in another order."""
    parts = run(bound)
    return tuple(parts[n] for n in order)


def _rebuilt(name, func, args, kwargs):
    """The call itself as a function of its arguments by name, which are handed on as they came: in turn or by name."""
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
    return tuple(map(_value, value)) if isinstance(value, list) else value
