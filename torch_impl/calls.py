"""Watch the functions that normalise and that draw random numbers, wherever in a model they are called.

`nn.BatchNorm2d`, its subclasses and a person's own ``F.batch_norm`` all end in the same few functions, and so do
`nn.Dropout` and ``F.dropout``. What those are called with is what a model does, whatever its flags say.
"""

import inspect
import threading
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .within import STATISTICS

_BATCH: dict = {
    F.batch_norm: "training",
    F.instance_norm: "use_input_stats",
}
# functions with a flag that turns their noise on; the last two by a probability
_NOISE: dict = {
    F.dropout: "training",
    F.dropout1d: "training",
    F.dropout2d: "training",
    F.dropout3d: "training",
    F.alpha_dropout: "training",
    F.feature_alpha_dropout: "training",
    F.rrelu: "training",
    F.multi_head_attention_forward: "training",
    F.scaled_dot_product_attention: "dropout_p",
}
_DRAWS = {
    "rand", "randn", "rand_like", "randn_like", "randint", "randint_like", "randperm", "normal", "normal_", "uniform_",
    "bernoulli", "bernoulli_", "poisson", "multinomial", "exponential_", "log_normal_", "random_",
}  # fmt: skip
_BUILT_IN = {
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
    torch.instance_norm: (
        "input", "weight", "bias", "running_mean", "running_var", "use_input_stats", "momentum", "eps",
    ),
    torch.dropout: ("input", "p", "training"),
    F.scaled_dot_product_attention: ("query", "key", "value", "attn_mask", "dropout_p"),
}  # fmt: skip
_SAME_AS = {torch.batch_norm: F.batch_norm, torch.instance_norm: F.instance_norm, torch.dropout: F.dropout}
_SIGNATURES = {
    function: inspect.signature(function)
    for function in (*_BATCH, *_NOISE)
    if function is not F.scaled_dot_product_attention
}


class Norm:
    """A call of a normalising function: what it was given, and ways to make it again.

    Attributes:
        x: the input, channels along axis 1.
        mean, variance: what it has stored, tensors ``(C,)``, or None.
        batch: whether it normalises with its input's own statistics.
        moves: whether it updates what it has stored.
        momentum, epsilon: as given; PyTorch's momentum is the share of the new value.
        by_sample: whether the input's own statistics are each sample's.
    """

    def __init__(self, function, given):
        self.function, self.given = function, given
        self.x, self.mean, self.variance = given["input"], given.get("running_mean"), given.get("running_var")
        self.momentum, self.epsilon = given.get("momentum"), given.get("eps")
        self.by_sample = function is F.instance_norm
        self.batch = bool(given[_BATCH[function]]) or self.mean is None
        self.moves = self.batch and self.mean is not None and bool(self.momentum)

    def with_own(self):
        """Normalise with the input's own statistics and update nothing."""
        options = {"weight": self.given.get("weight"), "bias": self.given.get("bias"), "eps": self.epsilon}
        return self.function(self.x, None, None, **options, **{_BATCH[self.function]: True})

    def with_given(self, mean, variance):
        """Normalise with these statistics, arrays or tensors ``(C,)``."""
        weight, bias = self.given.get("weight"), self.given.get("bias")
        like = next((t for t in (weight, self.mean) if t is not None), self.x)
        mean, variance = (torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (mean, variance))
        return F.batch_norm(self.x, mean, variance, weight, bias, False, 0.0, self.epsilon)


class Noise:
    """A call of a function with noise in it."""

    def __init__(self, function, given):
        self.function, self.given, self.flag = function, given, _NOISE[function]
        self.on = bool(given.get(self.flag)) and given.get("p", given.get("dropout_p", 1.0)) != 0

    def again(self, flag):
        """Call it with another flag (or probability)."""
        return self.function(**{**self.given, self.flag: flag})


class Watching(TorchFunctionMode):
    """Hand every such call to somebody while this is entered, in the thread that enters it.

    Args:
        norm: called with a `Norm`, returns the call's result, or None for "as it was meant".
        noise: the same with a `Noise`.
        draw: called with the tensor that any other random function gave; None where nobody wants to know.
        take: called with a tensor and a mean or spread of it that somebody takes, returns what that is to be instead.
    """

    def __init__(self, norm, noise, draw=None, take=None):
        super().__init__()
        self.norm, self.noise, self.draw, self.take = norm, noise, draw, take

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """See `torch.overrides.TorchFunctionMode`; it isn't active inside."""
        kwargs = kwargs or {}
        result, known = None, _SAME_AS.get(function, function)
        if known in _BATCH:
            result = self.norm(Norm(known, _given(function, args, kwargs)))
        elif known in _NOISE:
            result = self.noise(Noise(known, _given(function, args, kwargs)))
        if result is not None:
            return result
        result = function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        if self.draw is not None and name in _DRAWS:
            self.draw(result)
        if self.take is not None and name in STATISTICS and args and isinstance(args[0], torch.Tensor):
            return self.take(args[0], result)
        return result


class Place(threading.local):
    """Where in a model a forward pass is: the modules that are being called, in each thread on its own."""

    def __init__(self):
        self.stack = []
        self.counts = {}

    def reset(self):
        """Start a pass."""
        self.stack.clear()
        self.counts.clear()

    def count(self, key):
        """Say how often this has been asked with that key in this pass, this time included."""
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]


@contextmanager
def placed(model, place, enter=None, leave=None):
    """Follow every module's call: ``enter(module, path, args)`` before it, ``leave(module, path)`` after."""
    handles = []

    def before(module, args, kwargs, path):
        if enter is not None:
            enter(module, path, [*args, *kwargs.values()])
        place.stack.append(path)

    def after(module, args, output, path):
        if leave is not None:
            leave(module, path)
        if place.stack and place.stack[-1] == path:
            place.stack.pop()

    try:
        for path, module in model.named_modules():
            hook = _bound(before, path)
            handles.append(module.register_forward_pre_hook(hook, prepend=True, with_kwargs=True))
            handles.append(module.register_forward_hook(_bound(after, path), always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _bound(function, path):
    def hook(*args):
        function(*args, path)

    return hook


def _given(function, args, kwargs):
    """The arguments by name, defaults filled in."""
    if function in _BUILT_IN:
        return {**dict(zip(_BUILT_IN[function], args, strict=False)), **kwargs}
    bound = _SIGNATURES[function].bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments
