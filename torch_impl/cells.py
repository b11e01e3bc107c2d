"""Recurrent layers computed step by step, with another activation, order of gates or place of the reset gate."""

import numpy as np
import torch
import torch.nn.functional as F

from .activating import activate


def lstm(bound, recurrent="sigmoid", activation="tanh", gates="ifgo", **steps):
    """Compute `torch.lstm`'s layers step by step with another activation or order of gates.

    Args:
        steps: ``mask`` of bool ``(N, T)``, False where the state stays as it is, and ``zeros`` whether the result is
            zero there; ``turned``: axes of batch and steps are taken the other way round, from a state of zeros.
    """
    return _recurrent(bound, _Cell("lstm", recurrent, activation, gates), **steps)


def gru(bound, recurrent="sigmoid", activation="tanh", gates="rzn", reset_after=True, **steps):
    """Compute `torch.gru`'s layers step by step; ``reset_after`` is Keras's word for where the reset gate stands."""
    return _recurrent(bound, _Cell("gru", recurrent, activation, gates, reset_after), **steps)


def rnn(bound, recurrent="", activation="tanh", gates="", **steps):
    """Compute `torch.rnn_tanh`'s layers step by step with another activation."""
    return _recurrent(bound, _Cell("rnn", recurrent, activation, gates), **steps)


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


def _recurrent(bound, cell, mask=None, zeros=False, turned=False):
    x, hx = bound["input"], bound["hx"]
    if "params" not in bound:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        state = hx if isinstance(hx, (tuple, list)) else (hx,)
        found = cell(x, state, *(bound.get(name) for name in names))
        return found if cell.kind == "lstm" else found[0]
    directions, each = 1 + bool(bound.get("bidirectional")), 4 if bound.get("has_biases", True) else 2
    first = bool(bound.get("batch_first", False)) != turned
    x = x.transpose(0, 1) if first else x
    hx = hx if isinstance(hx, (tuple, list)) else (hx,)
    if turned:
        hx = tuple(part.new_zeros(len(part), x.shape[1], part.shape[2]) for part in hx)
    counts = None if mask is None else torch.from_numpy(np.array(mask)).T.unsqueeze(-1)
    last, params = [], list(bound["params"])
    for layer in range(bound["num_layers"]):
        found = []
        for direction in range(directions):
            number = layer * directions + direction
            state = tuple(part[number] for part in hx)
            weights = params[number * each : (number + 1) * each]
            steps = []
            for t in range(len(x))[:: -1 if direction else 1]:
                after = cell(x[t], state, *weights)
                if counts is not None:
                    pairs = zip(after, state, strict=True)
                    after = tuple(torch.where(counts[t], new, old) for new, old in pairs)
                state = after
                steps.append(state[0] * counts[t] if zeros and counts is not None else state[0])
            found.append(torch.stack(steps[:: -1 if direction else 1]))
            last.append(state)
        x = torch.cat(found, -1)
    ends = tuple(torch.stack(parts) for parts in zip(*last, strict=True))
    return (x.transpose(0, 1) if first else x, *ends)
