"""Small PyTorch models in which every weight matters."""

import torch

from torch_impl import transfer


def randomise(model, seed=0):
    """Give every weight and statistic a value of its own, far from the initial one."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            values = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(values + 0.5 if tensor.ndim == 1 else (values - 0.5) / tensor[0].numel() ** 0.5)
    return model


def small(backbone="resnet50", variant="v1", seed=0, **options):
    return randomise(transfer.build(backbone, variant, 0.25, **options), seed)
