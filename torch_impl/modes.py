"""Put a model into a mode, and back: what batch normalisation and dropout do, whatever a call then changes.

At the end of `kept`, `in_inference` and `switched` the model is as it was, bit by bit, whatever happens.
"""

from contextlib import ExitStack, contextmanager

import torch

from . import bn_policy, keeping

NOTHING = 1e-30  # a decay that leaves nothing of the old moving statistics, and whose logarithm is a number


@contextmanager
def kept(model, weights=True):
    """Put back at the end what calls of the model, or settings of its modules, have changed: see `keeping`."""
    scripts = [module for module in model.modules() if isinstance(module, torch.jit.ScriptModule)]
    modes = [
        (module, module.training) for module in scripts if hasattr(module, "training")
    ]  # frozen ones have none
    with keeping.kept(model, weights):
        try:
            yield
        finally:
            for module, training in modes:  # whose mode is none of their attributes
                module.training = training


@contextmanager
def in_inference(model):
    """Put every module into inference mode, even where a user's own ``train`` wouldn't."""
    with kept(model):
        for module in model.modules():
            module.training = False
        yield


@contextmanager
def switched(model, dropout=False, normalise="evaluate"):
    """Throw the two switches between training and evaluation one by one.

    Args:
        model: any module; one with a policy (`bn_policy.apply`) normalises as that has it.
        dropout: whether it is on, as in training, and whatever else a module does in training only.
        normalise: ``fit`` (layers that keep moving statistics normalise as in training; what they keep is then
            their last batch's alone) or ``evaluate``.
    """
    with kept(model):
        model.train(normalise == "fit")
        bn_policy.hold(model)
        for module in model.modules():
            if not _keeps_statistics(module):
                module.training = dropout
            elif module.training and isinstance(module, bn_policy.BATCH_NORM):
                module.track_running_stats = True
                module.momentum = 1 - NOTHING
                if hasattr(module, "decay"):
                    module.decay = NOTHING
        yield


def stand(model, training):
    """Put a model that has a policy into the state of its training or of its evaluation; any other stays as it is.

    DIFFERS: a policy must be put upon PyTorch's modules again with each mode; Keras's layers keep it.

    Returns:
        Whether that is so.
    """
    if getattr(model, "bn_policy", None) is None:
        return False
    model.train(training)
    bn_policy.hold(model)
    return True


def autocast():
    """Take the autocast that is around this call, and return what enters it in another thread: it belongs to one.

    DIFFERS: a Keras layer has its precision itself.
    """
    around = [
        (device, torch.get_autocast_dtype(device))
        for device in ("cpu", "cuda")
        if torch.is_autocast_enabled(device)
    ]

    @contextmanager
    def entered():
        with ExitStack() as stack:
            for device, dtype in around:
                stack.enter_context(torch.autocast(device, dtype))
            yield

    return entered


def _keeps_statistics(layer):
    """Whether a layer has moving statistics, as PyTorch's InstanceNorm can, too."""
    return isinstance(layer, bn_policy.BATCH_NORM) or getattr(layer, "running_mean", None) is not None
