"""Lazy layers, which wait for data to tell their shapes: whether a module has some, a copy of it, and its shapes."""

import copy

import torch

from . import keeping


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


def shape(subject, source):
    """Evaluate a first batch, from which lazy layers take their shapes; modes and generators stay as they are."""
    raw = next(subject.replayed(source, 0), None)
    if raw is None:
        return
    drawn = keeping.random_state()
    try:
        with torch.no_grad(), keeping.modes_kept(subject.module):
            subject.module.eval()
            subject.objective.measure(subject.objective.batch(raw), False)
    finally:
        keeping.set_random_state(drawn)
