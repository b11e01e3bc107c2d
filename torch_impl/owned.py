"""Normalisations with an arithmetic of their own: a mean and a variance that move, and no call of PyTorch's.

DIFFERS: in Keras a layer's own variables say the same by what a call with the data changes; see `keras_impl.owned`.
"""

import copy
from weakref import WeakKeyDictionary

import torch

from .keeping import random_state, set_random_state
from .statistics import BATCH_NORM

_MEANS, _SPREADS = ("mean", "mu", "avg"), ("var", "std", "sigma", "sd")
# shapes that a module is tried on: samples, channels, positions
_SHAPES = ((16, None), (16, None, 6), (16, None, 4, 4), (16, 6, None))
_CLOSE = 1e-3  # relative: a step of float32
# module -> the names of its mean and its spread, and whether that is a deviation; None where it has none
_tried: WeakKeyDictionary = WeakKeyDictionary()
# module -> its normalisation of what it makes itself, once it was seen at work; see `within`
known_within: WeakKeyDictionary = WeakKeyDictionary()


class Owned:
    """Where such a module keeps its statistics.

    Attributes:
        module: the module.
        pair: its buffers of mean and variance.
        deviation: whether the second is a standard deviation.
    """

    def __init__(self, module, mean, spread, deviation=False):
        self.module, self.names, self.deviation = module, (mean, spread), deviation

    @property
    def pair(self):
        """The buffers, as the module has them now."""
        return tuple(getattr(self.module, name) for name in self.names)

    def rows(self, x):
        """The input with its channels along axis 1, found by their number."""
        channels = self.pair[0].numel()
        if x.ndim > 1 and x.shape[1] != channels and x.shape[-1] == channels:
            return x.movedim(-1, 1)
        return x

    def fits(self, x):
        """Whether an input, None for an unknown one, has as many channels as there are statistics."""
        return x is None or (x.ndim > 1 and self.rows(x).shape[1] == self.pair[0].numel())

    def stored(self):
        """Mean and variance, tensors ``(C,)``."""
        mean, spread = (tensor.detach().reshape(-1) for tensor in self.pair)
        return mean, spread**2 if self.deviation else spread

    def put(self, mean, variance):
        """Write other statistics."""
        spread = variance**0.5 if self.deviation else variance
        with torch.no_grad():
            for tensor, values in zip(self.pair, (mean, spread), strict=True):
                tensor.copy_(torch.as_tensor(values).reshape(tensor.shape))


def find(module):
    """Find a module's own mean and variance, by their names or by what moves them; None where it has none."""
    if module in known_within:
        return known_within[module]
    held = buffers(module)
    by_name = named(held)
    if by_name is not None:
        return Owned(module, *by_name)
    shapes = [tensor.shape for tensor in held.values()]
    known = type(module).__module__.startswith("torch.") or any(module.children())
    if known or len(shapes) == len(set(shapes)):
        return None
    if module not in _tried:
        _tried[module] = _by_moving(module, held)
    return None if _tried[module] is None else Owned(module, *_tried[module])


def buffers(module):
    """A module's own floating-point buffers by name, without single numbers; its own tensors and no copies."""
    found = module._buffers.items()
    return {name: t for name, t in found if t is not None and t.ndim and t.is_floating_point()}


def named(held):
    """The names of a mean and a spread by what they say, and whether it is a deviation; None where none say it."""
    means = [name for name in held if any(word in name.lower() for word in _MEANS)]
    spreads = [name for name in held if any(word in name.lower() for word in _SPREADS)]
    for mean in means:
        for spread in spreads:
            if mean != spread and held[mean].shape == held[spread].shape:
                return mean, spread, "var" not in spread.lower()
    return None


def _by_moving(module, held):
    """Find two buffers that a call in training moves towards the mean and the spread of what it is called with."""
    own = next(iter(held.values()))
    drawn, draw = random_state(), torch.Generator().manual_seed(0)
    try:
        for shape in _SHAPES:
            sizes = [own.numel() if size is None else size for size in shape]
            x = 2 * torch.randn(sizes, generator=draw, device="cpu") + 3
            try:
                tried = copy.deepcopy(module)
                tried.training = True
                with torch.no_grad():
                    tried.forward(x.to(own.device, own.dtype))
            except Exception:  # whatever it says to being copied, or to inputs of another shape than it takes
                continue
            rows = x.movedim(shape.index(None), -1).flatten(0, -2).to(own.device, own.dtype)
            after = {name: tried._buffers[name] for name in held}
            found = moved(held, after, rows)
            if found is not None:
                return found
        return None
    finally:
        set_random_state(drawn)


def moved(before, after, rows):
    """The names of two buffers that went towards the mean and the spread of some rows, as `named`; None without."""
    means = [name for name in before if _goes(before[name], after[name], rows.mean(0))]
    for deviation in (False, True):
        for unbiased in (False, True):
            target = rows.std(0, unbiased=unbiased) if deviation else rows.var(0, unbiased=unbiased)
            for name in before:
                if means and name != means[0] and _goes(before[name], after[name], target):
                    return means[0], name, deviation
    return None


def _goes(before, after, target):
    """Whether all channels have gone the same share of the way towards a target."""
    if before.numel() != target.numel() or before.shape != after.shape:
        return False
    way = target - before.reshape(-1)
    far = way.abs() > _CLOSE * (target.abs() + 1e-6)
    if not far.any():
        return False
    shares = (after - before).reshape(-1)[far] / way[far]
    share = shares.median()
    return bool(0 < share <= 1 + _CLOSE and (shares - share).abs().max() < 0.01 * share.abs())


def is_normalisation(layer):
    """Whether a module is a batch normalisation by its class or by what it keeps."""
    return isinstance(layer, BATCH_NORM) or find(layer) is not None
