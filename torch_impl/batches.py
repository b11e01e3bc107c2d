"""Arrays to tensors: what a model takes, and back."""

import numpy as np
import torch


def tensors(batch, model):
    """Make tensors of a batch's arrays, on the device of a model, and of its dtype where they aren't integers.

    DIFFERS: a Keras layer casts by itself what it is given.

    Args:
        batch: a tuple of arrays; images ``(N, H, W, C)``, others as they are.
        model: whose first parameter, or first buffer, says dtype and device.

    Returns:
        A list of tensors; images are a channels-last view of the same memory, ``(N, C, H, W)``.
    """
    like = next(model.parameters(), None)
    like = next(model.buffers(), torch.empty(0)) if like is None else like
    return [tensor(array, like) for array in batch]


def tensor(array, like):
    """Make a tensor of an array, as another tensor is one; images and feature maps become ``(N, C, H, W)``."""
    made = torch.from_numpy(np.asarray(array))
    if like.device.type == "cuda":  # from pinned memory, a copy needn't be waited for
        made = made.pin_memory()
    made = made.to(like.device, like.dtype if made.is_floating_point() else None, non_blocking=True)
    return made.permute(0, 3, 1, 2) if made.ndim == 4 else made


def array(tensor):
    """Copy a tensor to an array; images and feature maps become ``(N, H, W, C)``."""
    values = tensor.detach().cpu()
    values = values.float() if values.dtype == torch.bfloat16 else values
    return np.array(values.movedim(1, -1) if values.ndim == 4 else values, order="C")
