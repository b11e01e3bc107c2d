"""Normalisations with an arithmetic of their own: a mean and a variance that move, and no call of PyTorch's.

DIFFERS: in Keras a layer's own variables say the same; see `keras_impl.switches`.
"""

import torch

from .statistics import BATCH_NORM

_MEANS, _SPREADS = ("mean", "mu", "avg"), ("var", "std", "sigma", "sd")


class Owned:
    """Where such a module keeps its statistics.

    Attributes:
        module: the module.
        pair: its buffers of mean and variance.
        deviation: whether the second is a standard deviation.
    """

    def __init__(self, module, mean, spread):
        self.module, self.names = module, (mean, spread)
        self.deviation = "var" not in spread.lower()

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
    """Find a module's own mean and variance by their names and shapes; None where it has none."""
    buffers = {
        name: tensor
        for name, tensor in module._buffers.items()
        if tensor is not None and tensor.is_floating_point()
    }
    means = [name for name in buffers if any(word in name.lower() for word in _MEANS)]
    spreads = [name for name in buffers if any(word in name.lower() for word in _SPREADS)]
    for mean in means:
        for spread in spreads:
            if mean != spread and buffers[mean].shape == buffers[spread].shape and buffers[mean].ndim:
                return Owned(module, mean, spread)
    return None


def is_normalisation(layer):
    """Whether a module is a batch normalisation by its class or by what it keeps."""
    return isinstance(layer, BATCH_NORM) or find(layer) is not None
