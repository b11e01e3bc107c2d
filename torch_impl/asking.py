"""What a model's modules are asked for in training and in evaluation, and why one does something else."""

from torch import nn

from . import keeping, trying
from .evidence import Override
from .statistics import BATCH_NORM

RUNNING = (BATCH_NORM, nn.modules.instancenorm._InstanceNorm)


def trainable_of(model, names=None):
    """The parameters that an optimizer would change, by their id.

    Args:
        model: the module.
        names: of those that training's optimizers were seen to hold; None where nobody saw them.
    """
    wanted = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    held = {key for key, name in wanted.items() if names is not None and name in names}
    return frozenset(held or wanted)


def modes_of(model):
    """What ``train`` and ``eval`` make of a model; modes that were set by hand are taken as they are.

    Returns:
        In training and in evaluation: path of a module -> its mode.
    """
    now = _modes(model)
    mixed = len(set(now.values())) > 1
    with keeping.modes_kept(model):
        fit = now if now[""] else _after(model, model.train)
        evaluate = now if mixed and not now[""] else _after(model, model.eval)
    return fit, evaluate


def _modes(model):
    return {path: module.training for path, module in model.named_modules()}


def _after(model, change):
    change()
    return _modes(model)


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
