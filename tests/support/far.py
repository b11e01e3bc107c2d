"""A stand-in for an accelerator: tensors that can be computed with and can't be read until they are fetched.

Nobody has a card where the tests run. On one, `tensor.numpy()` raises unless `tensor.cpu()` came before it; so it does
here, and what a model's parameters and buffers are, everything is that is computed from them.
"""

import torch
from torch import nn


class Far(torch.Tensor):
    """A tensor that lies elsewhere."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in ("numpy", "__array__"):
            raise TypeError("can't convert a far tensor to numpy: fetch it with .cpu() first")
        result = super().__torch_function__(function, types, args, kwargs or {})
        fetched = getattr(function, "__name__", "") in ("cpu", "tolist", "item") or "cpu" in map(
            str, args[1:2]
        )
        return result.as_subclass(torch.Tensor) if fetched and isinstance(result, torch.Tensor) else result


def far(model):
    """Move a model there."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                away = nn.Parameter(parameter.data.as_subclass(Far), parameter.requires_grad)
                module._parameters[name] = away
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.as_subclass(Far)
    return model
