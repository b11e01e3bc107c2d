"""Try what a normalisation layer does by itself: on its own batch's statistics, or on what it has stored?

DIFFERS: a Keras layer is tried with what reaches it in the model; see `keras_impl.watching`.
"""

import torch
from torch import nn

from . import keeping

_BY_SAMPLE = (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, getattr(nn, "RMSNorm", nn.LayerNorm))
_NAMES_BY_SAMPLE = ("layernorm", "groupnorm", "rmsnorm")
# shapes that a normalisation by itself is tried on: samples, channels, positions
_SHAPES = ((8, None, 6, 6), (8, None), (8, None, 6), (8, None, 4, 4, 4), (8, 6, None), (8, 6, 6, None))


def by_sample(module):
    """Whether a module normalises each sample by itself, by its class."""
    name = type(module).__name__.lower()
    known = isinstance(module, nn.modules.instancenorm._InstanceNorm) and not keeps(module)
    return known or isinstance(module, _BY_SAMPLE) or any(name.startswith(word) for word in _NAMES_BY_SAMPLE)


def keeps(module):
    """Whether a module has moving statistics."""
    return isinstance(getattr(module, "running_mean", None), torch.Tensor)


def depends(module, x, mode):
    """Whether a sample's output depends on the other samples by far more than an update of statistics does."""
    if len(x) < 2:
        return False
    before, outputs, weight = module.training, [], module._parameters.get("weight")
    # a scale that starts at zero, as the last one of a residual branch may, would hide everything
    scale = weight.detach().clone() if weight is not None else None
    try:
        module.training = mode
        if scale is not None and not scale.any():
            with torch.no_grad():
                weight.fill_(1)
        for others in (x, torch.cat([x[:1], 3 * x[1:] + x[1:].std()])):
            with torch.no_grad(), keeping.buffers_kept({"": module}):
                outputs.append(module(others)[:1].clone())
    finally:
        module.training = before
        if scale is not None:
            with torch.no_grad():
                weight.copy_(scale)
    size = (outputs[0] - outputs[0].mean()).abs().max() + 1e-12
    return bool((outputs[0] - outputs[1]).abs().max() > 0.2 * size)


def attempt(module, fit_mode, evaluate_mode):
    """What a normalisation does on arrays made up for it: (in training, in evaluation, moves, moves there)."""
    like = next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), None)
    sizes = [t.numel() for t in (*module.parameters(recurse=False), *module.buffers(recurse=False)) if t.ndim]
    channels = getattr(module, "num_features", None) or (sizes[0] if sizes else None)
    if by_sample(module):
        return "sample", "sample", False, False
    for shape in _SHAPES if channels else ():
        x = torch.randn(
            *[channels if n is None else n for n in shape],
            generator=torch.Generator().manual_seed(0),
            device="cpu",
        )
        x = x if like is None else x.to(like.device, like.dtype)
        try:
            return _tried(module, 2 * x + 0.5, fit_mode, evaluate_mode)
        except Exception:  # a shape that this layer doesn't take
            continue
    return "unreached", "unreached", False, False


def _tried(module, x, fit_mode, evaluate_mode):
    found, before = [], module.training
    values = [b.clone() for b in module.buffers(recurse=False)]
    try:
        for mode in (fit_mode, evaluate_mode):
            how = "batch" if depends(module, x, mode) else "moving"
            module.training = mode
            with torch.no_grad(), keeping.buffers_kept({"": module}):
                module(x)
                now = module.buffers(recurse=False)
                moved = any(
                    not torch.equal(b, v) for b, v in zip(now, values, strict=True) if b.is_floating_point()
                )
            found.append((how, moved))
    finally:
        module.training = before
    instance = isinstance(module, nn.modules.instancenorm._InstanceNorm)
    fit = "sample" if instance and fit_mode else found[0][0]
    return fit, found[1][0], found[0][1], found[1][1]
