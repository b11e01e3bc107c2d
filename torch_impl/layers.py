"""The layers in which Keras and PyTorch differ, so that the model files need not say it again.

Images are ``(N, C, H, W)``, channels last in memory; kernels are ``(out, in, height, width)``.
"""

import torch
import torch.nn.functional as F
from torch import nn

DECAY = 0.9  # DIFFERS: Keras's default keeps 0.99 of the old moving value (PyTorch calls 1 - decay momentum)
KERAS_DECAY = 0.99


class BatchNorm(nn.BatchNorm2d):
    """PyTorch's batch normalisation, with a choice of the rule for the moving variance.

    DIFFERS: the moving variance takes in the unbiased batch variance (divided by n - 1); Keras's the
    biased one (n). Both normalise with the biased one. ``variance="biased"`` is Keras's rule.

    Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167
    """

    def __init__(self, channels, epsilon=1.001e-5, decay=DECAY, variance="unbiased"):
        super().__init__(channels, eps=epsilon, momentum=1 - decay)
        self.decay = decay
        self.variance = variance

    def forward(self, x):
        """Normalise ``(N, C, H, W)`` over all axes but the second."""
        if self.variance == "unbiased" or not self.training:
            return super().forward(x)
        # as Keras computes it: a fused kernel rounds its gradients another way, and Adam makes steps of that
        mean = x.mean((0, 2, 3))
        variance = (x - mean.detach()[:, None, None]).square().mean((0, 2, 3))
        if self.track_running_stats:
            self.move(mean.detach(), variance.detach(), x.numel() // x.shape[1])
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]

    def move(self, mean, variance, count):
        """Move the moving statistics towards those of a batch of ``count`` values a channel."""
        self.running_mean.add_((mean - self.running_mean) * (1 - self.decay))
        self.running_var.add_((variance - self.running_var) * (1 - self.decay))


class CounterDropout(nn.Module):
    """Dropout whose mask is a pure function of ``(seed, step, position)``, the same in both frameworks.

    ``step`` counts the training calls and is part of the layer's state, so that an epoch can be replayed
    with the masks it had. The bits come from a 32-bit integer mixer (two multiplications, three shifts).

    Args:
        rate: share of the values set to 0, in [0, 1); the others are scaled by ``1 / (1 - rate)``.
        seed: the layer's own seed, a non-negative integer below 2**31.
    """

    def __init__(self, rate, seed=0):
        super().__init__()
        self.rate = rate
        self.seed = seed
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        """Drop values of ``x`` in training; return them unchanged otherwise."""
        if not self.training or self.rate == 0:
            return x
        start = mix(self.seed + mix(self.step + 1))
        positions = torch.arange(x.numel(), dtype=torch.int64, device=x.device).reshape(x.shape)
        uniform = mix(positions ^ start).to(x.dtype) / 2**32  # [0, 1)
        self.step += 1
        return torch.where(uniform >= self.rate, x / (1 - self.rate), torch.zeros_like(x))


def mix(x):
    """Scramble the low 32 bits of non-negative int64 values; the result is in [0, 2**32)."""
    # products stay below 2**63: both constants are below 2**31
    x = x & 0xFFFFFFFF
    x = ((x ^ (x >> 18)) * 0x4260BB47) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0x27E8E1ED) & 0xFFFFFFFF
    return x ^ (x >> 15)


def conv(channels_in, channels, kernel, stride=1, bias=True, same=False):
    """Convolve with ``kernel // 2`` zeros on every side; with ``same``, with those of Keras's ``padding="same"``.

    DIFFERS: Keras's ``padding="same"`` is symmetric only at stride 1; here a number always is.
    """
    if same:
        return SameConv(channels_in, channels, kernel, stride, bias=bias)
    return nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, bias=bias)


class SameConv(nn.Conv2d):
    """A convolution with as many zeros as make ceil(size / stride) outputs, the odd one below and on the right."""

    def forward(self, x):
        """Convolve ``(N, C, H, W)``."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        zeros = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
        top, left = (zero // 2 for zero in zeros)
        return super().forward(F.pad(x, (left, zeros[1] - left, top, zeros[0] - top)))


def max_pool(size, stride, padding=0):
    """Take the maximum over ``size`` x ``size`` windows.

    DIFFERS: the padding is minus infinity, Keras's is zeros: equal after a relu only.
    """
    return nn.MaxPool2d(size, stride, padding)
