"""Keras's arithmetic put into a person's own module in a line, so that a port trains exactly as the original did.

    model = as_keras(Net(), seed=7)                        # keras_impl.layers.CounterDropout(rate, 7) on the other side
    optimizer = KerasAdam(model.parameters(), lr=1e-3)     # torch_impl.optimizers

Arrays keep their names and values: state dicts go in and out as before.
"""

from itertools import count

import torch
import torch.nn.functional as F
from torch import nn

from .layers import CounterDropout


def as_keras(module, seed=None):
    """Have all batch normalisation of a module move its variance as Keras does, and its dropout draw the same masks.

    DIFFERS: PyTorch's moving variance takes in the batch's divided by n - 1, and no argument changes that. No seed
    makes both frameworks draw the same masks; `layers.CounterDropout` of both does.

    Args:
        module: any module; its layers are replaced in place, each with its own parameters and buffers.
        seed: of the first dropout, one more for each that follows; None leaves dropout as it is.

    Returns:
        The module itself, or what takes its place where it is a layer that is replaced.
    """
    return _replaced(module, None if seed is None else count(seed))


def _replaced(module, seeds):
    for name, part in module.named_children():
        setattr(module, name, _replaced(part, seeds))
    if type(module) in _KINDS:
        module.__class__ = _KINDS[type(module)]
    if seeds is not None and type(module) in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d):
        if type(module) is not nn.Dropout:
            raise ValueError(
                f"{type(module).__name__} drops whole channels; only nn.Dropout's masks are known in both"
            )
        return CountedDropout(module.p, next(seeds)).train(module.training)
    return module


class CountedDropout(CounterDropout):
    """`layers.CounterDropout` that adds nothing to a state dict, and numbers an image's values as Keras does."""

    def __init__(self, rate, seed=0):
        super().__init__(rate, seed)
        self.register_buffer("step", self.step, persistent=False)

    @property
    def p(self):
        """The rate, by PyTorch's name."""
        return self.rate

    def forward(self, x):
        """Drop values of ``(N, C)``, ``(N, T, C)`` or ``(N, C, H, W)`` in training."""
        if x.dim() < 4:
            return super().forward(x)
        return super().forward(x.movedim(1, -1).contiguous()).movedim(-1, 1)


class _Biased:
    """Batch normalisation of ``(N, C, ...)`` whose moving variance takes in the biased one."""

    def forward(self, x):
        """Normalise over all axes but the second."""
        if not (self.training and self.track_running_stats) or self.running_var is None:
            return super().forward(x)
        self._check_input_dim(x)
        with torch.no_grad():
            self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        # on copies: the backward pass keeps what the function was given, which must not change any more
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        y = F.batch_norm(x, mean, variance, self.weight, self.bias, True, share, self.eps)
        with torch.no_grad():
            kept, n = self.running_var * (1 - share), x.numel() // x.shape[1]
            self.running_mean.copy_(mean)
            self.running_var.copy_(kept + (variance - kept) * ((n - 1) / n))
        return y


_KINDS = {
    kind: type(kind.__name__, (_Biased, kind), {"__doc__": _Biased.__doc__, "variance": "biased"})
    for kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
}
