"""Keras's arithmetic put into a person's own module in a line, so that a port trains exactly as the original did.

    model = as_keras(Net())
    optimizer = KerasAdam(model.parameters(), lr=1e-3)     # torch_impl.optimizers

Arrays keep their names and values: state dicts go in and out as before.
"""

import torch
from torch import nn


def as_keras(module):
    """Have all batch normalisation of a module move its variance as Keras does, by the biased one.

    DIFFERS: PyTorch's moving variance takes in the batch's divided by n - 1, and no argument changes that.

    Args:
        module: any module; its layers are replaced in place, each with its own parameters and buffers.

    Returns:
        The module itself, or what takes its place where it is a normalisation layer.
    """
    for name, part in module.named_children():
        setattr(module, name, as_keras(part))
    if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        module.__class__ = _KINDS[type(module)]
    return module


class _Biased:
    """Batch normalisation of ``(N, C, ...)`` whose moving variance takes in the biased one."""

    def forward(self, x):
        """Normalise over all axes but the second."""
        if not (self.training and self.track_running_stats) or self.running_var is None:
            return super().forward(x)
        before, count = self.running_var.clone(), x.numel() // x.shape[1]
        y = super().forward(x)
        with torch.no_grad():
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            batch = (self.running_var - before * (1 - share)) * ((count - 1) / count)
            self.running_var.copy_(before * (1 - share) + batch)
        return y


_KINDS = {
    kind: type(kind.__name__, (_Biased, kind), {"__doc__": _Biased.__doc__, "variance": "biased"})
    for kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
}
