"""What a module is asked for in training and in evaluation, and why it does something else."""

from torch import nn

from . import trying
from .evidence import Override
from .statistics import BATCH_NORM

RUNNING = (BATCH_NORM, nn.modules.instancenorm._InstanceNorm)


def flag(module, mode):
    """What a normalisation's own flag asks for; None where it is no class of PyTorch's."""
    if isinstance(module, RUNNING):
        return "batch" if mode or not trying.keeps(module) else "moving"
    return None


def override(switches, path, module, fit, evaluate, call):
    """Why a layer does something else than its flag or ``eval()`` asks for; None where it doesn't."""
    if (reason := why(switches.model, path, switches.evaluate_modes)) is not None:
        return reason
    asked = flag(module, switches.evaluate_modes[path])
    if not isinstance(module, RUNNING):
        if evaluate == "batch" and fit == "batch" and call.mean is not None:
            return Override(
                f"the call says training=True in evaluation, too (F.{call.function.__name__})", "call"
            )
        return None
    if asked == "moving" and evaluate == "batch":
        return Override(
            f"{type(module).__name__} normalises with the batch although its mode is evaluation", "code"
        )
    if flag(module, switches.fit_modes[path]) == "batch" and fit == "moving":
        return Override(
            f"{type(module).__name__} normalises with what it has stored although its mode is training",
            "code",
        )
    return None


def why(model, path, evaluate_modes):
    """Why a module is still in training mode after ``eval()``."""
    if not evaluate_modes[path]:
        return None
    parts = path.split(".") if path else []
    for i in range(len(parts) + 1):
        above = model.get_submodule(".".join(parts[:i]))
        if type(above).train is not nn.Module.train:
            words = f"{type(above).__name__}.train() leaves it in training mode, whatever it is told"
            return Override(words, "class")
        if type(above).eval is not nn.Module.eval:
            return Override(f"{type(above).__name__}.eval() leaves it in training mode", "class")
    return Override("it is in training mode while the model is in evaluation mode", "hand")


def frozen(model, path, own, trainable):
    """Whether a person would believe a layer frozen, in a model where something trains."""
    if own:
        return not any(id(p) in trainable for p in own)
    parent = model.get_submodule(path.rpartition(".")[0]) if path else model
    beside = list(parent.parameters())
    return bool(beside) and not any(id(p) in trainable for p in beside)
