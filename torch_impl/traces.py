"""What a pass did, written down call by call; and the modes in which it is made."""

import random
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import torch


@dataclass
class Trace:
    """What a pass did, call by call.

    Attributes:
        norms: call of a normalising function -> (how, `calls.Norm` without its input's values, path of the module).
        noises: (path, function, number of the call) -> whether the noise was on.
        reached: modules that were called -> how often.
        drew: modules that drew random numbers by themselves; the outermost stands for a step, too.
        inside: whether the outermost did so in its own ``forward``.
        early: those of them that did so before any parameter was used.
        largest: path -> the largest random tensor and the largest input, in values a call.
        inputs: path -> the last input of a normalisation with an arithmetic of its own.
        taken: path -> the statistics that the first call took: of which tensor, and the result; see `within`.
        around: path -> that module's buffers by name, before and after that call.
    """

    norms: dict = field(default_factory=dict)
    noises: dict = field(default_factory=dict)
    reached: dict = field(default_factory=dict)
    drew: set = field(default_factory=set)
    early: set = field(default_factory=set)
    inside: bool = False
    largest: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    taken: dict = field(default_factory=dict)
    around: dict = field(default_factory=dict)


def trainable_of(model, names=None):
    """The parameters that an optimizer would change, by their id.

    Args:
        model: the module.
        names: of those that training's optimizers were seen to hold; None where nobody saw them.
    """
    wanted = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    held = {key for key, name in wanted.items() if names is not None and name in names}
    return frozenset(held or wanted)


def modes_of(model):
    """What ``train`` and ``eval`` make of a model; modes that were set by hand are taken as they are."""
    now = {path: module.training for path, module in model.named_modules()}
    mixed = len(set(now.values())) > 1
    fit = now if now[""] else _after(model, model.train)
    evaluate = now if mixed and not now[""] else _after(model, model.eval)
    for path, module in model.named_modules():
        module.training = now[path]
    return fit, evaluate


def _after(model, change):
    change()
    return {path: module.training for path, module in model.named_modules()}


def generators():
    """The states of all generators on the processor, in a form that can be compared."""
    numpy = np.random.get_state()  # noqa: NPY002
    return random.getstate(), _digest(numpy), torch.get_rng_state().numpy().tobytes()


def _digest(state):
    return state[0], state[1].tobytes(), state[2:]


def mixed(seed, key):
    """A seed for one place, the same in every process."""
    return crc32(repr((seed, key)).encode())


def buffers(module):
    """A module's own buffers by name, as they are now."""
    return {
        name: t.detach().clone()
        for name, t in module._buffers.items()
        if t is not None and t.ndim and t.is_floating_point()
    }


def beside(module):
    """What tells whether a pass changes more than buffers: two lists, of its parameters and of its attributes.

    The second holds the very things, so that no new one takes the place of one that is gone.
    """
    weights = [
        (torch.view_as_real(p.detach()) if p.is_complex() else p.detach()).sum(dtype=torch.float64).item()
        for p in module.parameters()
        if not torch.nn.parameter.is_lazy(p)
    ]
    values = [value for part in module.modules() for value in vars(part).values()]
    parts = [item for value in values if isinstance(value, list | tuple) for item in value]
    held = [item for item in (*values, *parts) if isinstance(item, torch.Tensor) and not item.is_inference()]
    return weights, [(item, item._version) for item in held]


def same(these, those):
    """Whether two lists of things and their versions are of the very same things, unchanged."""
    return len(these) == len(those) and all(
        a is b and before == now for (a, before), (b, now) in zip(these, those, strict=True)
    )
