"""All state of a model: hash it, and put it back to the last bit.

State is every parameter and buffer, gradients, modes, hooks, ``requires_grad``, every attribute of every module, and
the random generators of Python, NumPy and PyTorch. What optimizers hold no measurement changes; it is hashed, too.
"""

import functools
import hashlib
import random
import types
from collections import deque
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import DataLoader

from . import nested
from .logged import counts
from .remembering import Memory, undisturbed

_EMPTY = types.CellType()  # of a name that isn't bound yet
_PLAIN = (bool, int, float, str, bytes, type(None))


@contextmanager
def kept(model, weights=True):
    """Put all state of a model back at the end, also when an error or Ctrl-C ended the block.

    DIFFERS: PyTorch's modules keep state in any attribute; Keras's in variables.

    Args:
        weights: False leaves out parameters and gradients, which a pass without gradients doesn't change, and a copy
            of which may take gigabytes.
    """
    memory, found, _ = _reached(model)
    parameters = list(model.parameters()) if weights else []
    found = [tensor for tensor in found if weights or not isinstance(tensor, torch.nn.Parameter)]
    tensors = [(tensor, tensor.detach().clone(), tensor.requires_grad) for tensor in found]
    gradients = [(p, p.grad, None if p.grad is None else p.grad.clone()) for p in parameters]
    generators = random_state()
    try:
        yield
    finally:
        with undisturbed(), torch.no_grad():
            memory.put_back()
            for tensor, values, trains in tensors:
                _assign(tensor, values)
                if tensor.requires_grad != trains:
                    tensor.requires_grad_(trains)
            for parameter, gradient, values in gradients:
                parameter.grad = gradient
                if gradient is not None:
                    gradient.copy_(values)
            set_random_state(generators)


@contextmanager
def buffers_kept(modules, names=None):
    """Put buffers back at the end, also where a forward pass gave a module another tensor.

    Args:
        modules: name -> module whose own buffers are meant.
        names: full names of the buffers; None for all of them.
    """
    held = [
        (module, name, buffer, buffer.clone())
        for path, module in modules.items()
        for name, buffer in module._buffers.items()
        if buffer is not None and (names is None or f"{path}.{name}".removeprefix(".") in names)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, values in held:
                module._buffers[name] = buffer
                buffer.copy_(values)


@contextmanager
def modes_kept(model):
    """Put every module's mode back at the end, past any ``train`` of a person's."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


@contextmanager
def loader_kept(data, seed):
    """Seed the generators that a DataLoader and its samplers hold, and put those back at the end."""
    parts = [data] if isinstance(data, DataLoader) else []
    if parts:
        parts += [
            data.sampler,
            data.batch_sampler,
            getattr(data.batch_sampler, "sampler", None),
            data.dataset,
        ]
    held = {id(g): g for part in parts if isinstance(g := getattr(part, "generator", None), torch.Generator)}
    states = [(generator, generator.get_state()) for generator in held.values()]
    try:
        for generator, _ in states:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, before in states:
            generator.set_state(before)


def state(model, trained=True, optimizers=()):
    """Hash all state of a model, item by item.

    Args:
        model: a module.
        trained: False leaves out what training alone changes: gradients, and what optimizers hold.
        optimizers: that train it. DIFFERS: a Keras model holds its own.

    Returns:
        ``part:name`` -> hash. Parts are ``weights``, ``gradients``, ``statistics`` (buffers), ``memory`` (what else
        modules keep), ``metrics`` (what modules keep that are metrics), ``modes``, ``optimizer``, ``random`` and
        ``other``.
    """
    found = {}
    for name, parameter in model.named_parameters():
        found[f"weights:{name}"] = _hash(parameter)
        if trained and parameter.grad is not None:
            found[f"gradients:{name}"] = _hash(parameter.grad)
        found[f"other:{name}.requires_grad"] = str(parameter.requires_grad)
    for path, module in model.named_modules():
        of_buffers, of_others = ("metrics", "metrics") if counts(module) else ("statistics", "memory")
        for name, buffer in module.named_buffers(path, recurse=False):
            found[f"{of_buffers}:{name}"] = _hash(buffer)
        found[f"modes:{path}"] = str(module.training)
        for key, value in vars(module).items():
            name = f"{path}.{key}".removeprefix(".")
            if isinstance(value, torch.Tensor):
                found[f"{of_others}:{name}"] = _hash(value)
            elif key.endswith("_hooks"):
                found[f"other:{name}"] = str([id(hook) for hook in value.values()])
            elif isinstance(value, _PLAIN) and key != "training":
                found[f"{of_others}:{name}"] = repr(value)
            elif isinstance(value, list | tuple) and any(isinstance(item, torch.Tensor) for item in value):
                found[f"{of_others}:{name}"] = " ".join(map(_item_hash, value))
    memory, _, hidden = _reached(model)
    for i, part in enumerate(hidden):
        for name, tensor in (*part.named_parameters(), *part.named_buffers()):
            found[f"memory:hidden {i}.{name}"] = _hash(tensor)
    found["other:attributes"] = memory.digest()
    for i, optimizer in enumerate(optimizers if trained else ()):
        for key, tensor in _optimizer_tensors(optimizer):
            found[f"optimizer:{i}.{key}"] = _hash(tensor)
    for name, value in random_state().items():
        found[f"random:{name}"] = hashlib.sha256(_bytes(value)).hexdigest()
    return found


def attributes(model):
    """Remember what modules keep in their attributes, and what functions hooked to them write to: a `Memory`."""
    return _reached(model, _hooked(model))[0]


class Attributes:
    """What modules keep in their attributes at some time.

    It holds the very tensors, so that no new one takes the place of one that is gone.

    DIFFERS: a Keras layer's tensors are variables.
    """

    def __init__(self, model):
        memory, found, _ = _reached(model, _hooked(model))
        known = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
        self.digest = memory.digest()
        self.tensors = [(t, t._version) for t in found if id(t) not in known and not t.is_inference()]

    def same(self, other):
        """Whether nothing was changed between this time and another."""
        if self.digest != other.digest or len(self.tensors) != len(other.tensors):
            return False
        pairs = zip(self.tensors, other.tensors, strict=True)
        return all(one is now and before == after for (one, before), (now, after) in pairs)


def random_state():
    """Copy the states of all generators of the process: name -> state."""
    found = {"python": random.getstate(), "torch": torch.get_rng_state()}
    found["numpy"] = np.random.get_state()  # noqa: NPY002
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found |= {f"cuda:{i}": torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())}
    if torch.backends.mps.is_available():
        found["mps"] = torch.mps.get_rng_state()
    return found


def set_random_state(generators):
    """Put the generators' states back, as `random_state` gave them."""
    random.setstate(generators["python"])
    np.random.set_state(generators["numpy"])  # noqa: NPY002
    torch.set_rng_state(generators["torch"])
    for name, value in generators.items():
        if name.startswith("cuda:"):
            torch.cuda.set_rng_state(value, int(name.removeprefix("cuda:")))
        elif name == "mps":
            torch.mps.set_rng_state(value)


def seed_all(seed):
    """Seed every generator of the process."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def _reached(module, more=()):
    """What all modules keep as attributes, and more, however deep.

    Returns:
        A `Memory`, every tensor once, and the modules that PyTorch itself doesn't find, such as those in a list.
    """
    hidden = []
    while True:
        memory, tensors, new = _looked_through([module, *hidden], more)
        if not new:
            return memory, tensors, hidden
        hidden += new


def _looked_through(modules, more):
    """What modules keep: a `Memory`, every tensor once, and other modules that they reach."""
    parts = {id(part): part for module in modules for part in module.modules()}
    found, others, of_type = {}, {}, {}

    def known(value):
        # a value's type tells what it is, and to ask PyTorch each time takes long
        kind = type(value)
        if kind not in of_type:
            kinds = (torch.Tensor, torch.nn.Module, torch.optim.Optimizer)
            of_type[kind] = next((one for one in kinds if isinstance(value, one)), None)
        if of_type[kind] is torch.Tensor and not torch.nn.parameter.is_lazy(value):
            found.setdefault(id(value), value)
        if of_type[kind] is torch.nn.Module and id(value) not in parts:
            others.setdefault(id(value), value)
        return of_type[kind] is not None

    memory = Memory([*map(vars, parts.values()), *more], known)
    inside = {id(part) for one in others.values() for part in one.modules() if part is not one}
    return memory, list(found.values()), [one for key, one in others.items() if key not in inside]


def _hooked(module):
    """What functions hooked to modules reach: what they enclose, belong to or are given, and global containers."""
    for part in module.modules():
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
            while isinstance(hook, functools.partial):
                yield from (*hook.args, *hook.keywords.values())
                hook = hook.func
            yield getattr(hook, "__self__", None)
            function = getattr(hook, "__func__", hook)
            enclosed = getattr(function, "__closure__", None) or ()
            yield from (cell.cell_contents for cell in enclosed if cell != _EMPTY)
            if hasattr(function, "__code__"):
                named = (function.__globals__.get(name) for name in function.__code__.co_names)
                yield from (value for value in named if isinstance(value, dict | list | deque | set))


def _assign(tensor, values):
    """Write values to a tensor unless it has them: a forward pass may have replaced what it was made of."""
    if tensor.shape != values.shape:
        tensor.data = values
    elif not nested.equal(tensor, values):
        tensor.copy_(values)


def _item_hash(value):
    return _hash(value) if isinstance(value, torch.Tensor) else repr(value)


def _hash(tensor):
    if torch.nn.parameter.is_lazy(tensor):
        return "waits for data"
    flat = nested.strided(tensor.detach().to("cpu")).contiguous().reshape(-1)
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    if flat.numel():
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def _bytes(value):
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()


def _optimizer_tensors(optimizer):
    for i, kept_of in enumerate(optimizer.state.values()):
        for key, value in kept_of.items():
            if isinstance(value, torch.Tensor):
                yield f"{i}.{key}", value
