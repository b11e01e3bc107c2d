"""Lazy layers, which wait for data to tell their shapes: whether a module has some, and a copy of it."""

import copy

import torch


def waits(module):
    """Whether a module has lazy layers that have seen no data yet."""
    return any(torch.nn.parameter.is_lazy(t) for t in (*module.parameters(), *module.buffers()))


def copied(module):
    """A copy of a module with lazy layers, which wait in it as they do in the module.

    Raises:
        ValueError: it can't be copied.
    """
    # a buffer that waits has no copy of PyTorch's own
    waiting = [b for b in module.buffers() if torch.nn.parameter.is_lazy(b)]
    fresh = {id(b): torch.nn.parameter.UninitializedBuffer(device=b.device, dtype=b.dtype) for b in waiting}
    try:
        return copy.deepcopy(module, fresh)
    except Exception as error:
        text = (
            "model has lazy layers that have seen no data yet, and can't be copied: call it once on a batch"
        )
        raise ValueError(text) from error
