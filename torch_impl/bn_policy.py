"""What a BN policy is in PyTorch: set it on a model. What the layers then do, `behaviour` sees.

The backbone's modules are all those whose name doesn't start with ``head_``.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

BATCH_NORM = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class Policy:
    """What trains, and which statistics batch normalisation uses.

    Attributes:
        trains: ``head``; ``bn`` (head, gamma and beta); ``all``; ``all-but-bn`` (all but gamma and beta).
        fit_statistics: ``batch`` or ``moving``: what training normalises with.
        updates: whether training moves the moving statistics.
        evaluate_statistics: ``batch`` or ``moving``: what evaluation normalises with.
    """

    trains: Literal["head", "bn", "all", "all-but-bn"]
    fit_statistics: Literal["batch", "moving"]
    updates: bool
    evaluate_statistics: Literal["batch", "moving"] = "moving"


def apply(model, policy):
    """Set the policy on a transfer model, and keep it there for `hold`."""
    model.bn_policy = policy
    for name, module in model.named_modules():
        trains = ("bn", "all") if isinstance(module, BATCH_NORM) else ("all", "all-but-bn")
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(_in_head(name) or policy.trains in trains)
    hold(model)


def hold(model):
    """Set every BN module's mode again. Call it after each ``model.train()`` and ``model.eval()``.

    DIFFERS: ``requires_grad_(False)`` freezes no statistics, and a parent's ``.train()`` wakes every BN
    module that was put to ``.eval()``. In Keras a layer's state stays, so this function has no counterpart.
    """
    policy = getattr(model, "bn_policy", None)
    if policy is None:
        return
    for module in model.modules():
        if isinstance(module, BATCH_NORM):
            # with track_running_stats off, train mode normalises with the batch and keeps the moving ones
            module.track_running_stats = policy.updates and model.training
            module.train((policy.fit_statistics if model.training else policy.evaluate_statistics) == "batch")


def _in_head(name):
    return name.rpartition(".")[2].startswith("head_")
