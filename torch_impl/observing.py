"""Every call of a forward pass, whoever's model it is: modules and functions, in order, with what goes in and out.

The same words for both frameworks: a call has a kind, a place, values that go in and come out, arrays and facts.
"""

from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from . import attention, editing, keeping, kinds

# functions whose result isn't computed from what they are given
_NOT_LIVE = (
    "zeros_like", "ones_like", "new_zeros", "new_ones", "new_full", "new_tensor", "full_like", "rand_like",
)  # fmt: skip
# functions that hand on the values that they are given
_SKIPPED = (
    "contiguous", "detach", "to", "double", "requires_grad_", "clone", "type", "float", "_is_view", "cpu",
)  # fmt: skip


def arrays(model):
    """A model's floating-point arrays, parameters and buffers.

    Returns:
        name -> facts: ``shape``, ``trains``, ``alias`` (of the same array under an earlier name, or None),
        ``kind`` of the module that holds it (False for a person's own class), ``own`` name in it.
    """
    seen, found = {}, {}
    parameters = {name: p.requires_grad for name, p in model.named_parameters(remove_duplicate=False)}
    for name, tensor in state(model).items():
        if not tensor.is_floating_point():
            continue
        owner, _, own = name.rpartition(".")
        kind = type(model.get_submodule(owner))
        found[name] = {
            "shape": list(tensor.shape),
            "trains": parameters.get(name, False),
            "alias": seen.get(id(tensor)),
            "kind": kind.__module__.startswith("torch.nn") and kind.__name__,
            "own": own,
        }
        seen.setdefault(id(tensor), name)
    return found


def observe(model, inputs, training=False, edits=(), until=None):
    """Run a model and record each call of a layer or function; leave its state as it was.

    Args:
        model: a module.
        inputs: a list of arrays, as the model takes them.
        training: whether layers behave as in training; dropout and other noise are off in any case.
        edits: changes of single calls (`editing.apply`), as tried on a copy; one may be of a mode's calls alone.
        until: the last call that is of interest; the pass ends behind it.

    Returns:
        ``calls``, ``inputs``, ``outputs`` (names of values), ``values`` (name -> array) and ``error``: why the pass
        ended early, or None.
    """
    tensors = [tensor(array) for array in inputs]
    watch = Watch(model, edits, until=until)
    error = outputs = None
    with kept(model), torch.no_grad(), watch.attached():
        mode(model, training)
        names = [watch.live(x) for x in tensors]
        try:
            with watch:
                outputs = model(*tensors)
        except Exception as failed:
            error = " ".join(f"{type(failed).__name__}: {failed}".split())[:300]
    found = [watch.name(x) for x in returned(outputs)] if error is None else []
    stored = {name: value.cpu().numpy() for name, value in watch.values.items()}
    return {"calls": watch.calls, "inputs": names, "outputs": found, "values": stored, "error": error}


class _EnoughError(Exception):
    """Ends a pass whose rest is of no interest."""


class Watch(TorchFunctionMode):
    """Sees every call of PyTorch's functions, changes those that it is told to, and writes down what it sees.

    Args:
        model: a module.
        edits: changes of single calls, as of `observe`.
        values: whether to keep what goes in and comes out.
        until: the last call that is of interest, as of `observe`.

    Attributes:
        calls: what was seen, a dictionary a call.
        values: name of a value -> a copy of it.
        count: the number that the next call has.
        stack: paths of the modules that are at work.
    """

    def __init__(self, model, edits=(), values=True, until=None):
        super().__init__()
        self.model, self.keep, self.until = model, values, until
        self.edits = {}
        for edit in edits:
            self.edits.setdefault(edit["call"], []).append(edit)
        self.calls, self.values, self.count = [], {}, 0
        self.stack, self.begun = [""], []  # of each module at work its path, and the count when it began
        # a value is known by its id, which nothing else can have while the value is held
        self.held, self.names = [], {}
        self.modules = dict(model.named_modules())
        # id of an array, or of a part of one -> the array's name and which of its elements those are
        self.weights = {}
        for name, value in state(model).items():
            if value.is_floating_point():
                self.weights.setdefault(id(value), (name, None))

    @contextmanager
    def attached(self):
        """Follow which module is at work."""
        handles = []
        for path, module in self.modules.items():
            handles.append(module.register_forward_pre_hook(lambda m, x, path=path: self._entered(path)))
            handles.append(module.register_forward_hook(lambda m, x, y: self._left(m, y)))
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _entered(self, path):
        self.stack.append(path)
        self.begun.append(self.count)

    def _left(self, module, output):
        quiet = self.begun.pop() == self.count
        if quiet and _is_noise(module) and not any(module.children()) and id(output) in self.names:
            self._dropped(module, output)
        self.stack.pop()

    def _dropped(self, module, output):
        """Write down a module of a person's own that drops: while it is off it hands on what it is given."""
        incoming = [self.names[id(output)]]
        keys = ("p", "drop_prob", "drop_path_rate", "rate", "std", "stddev", "sigma")
        rate = next(
            (float(getattr(module, key)) for key in keys if getattr(module, key, None) is not None), 0.0
        )
        name = type(module).__name__.lower()
        noise = "noise" in name
        drops = "values" if "dropout" in name or noise else "samples"
        facts = {"p": rate, "drops": drops, "function": type(module).__name__, "shape": list(output.shape)}
        number, kind = self.count, "noise" if noise else "dropout"
        self.count += 1
        self._append(number, kind, incoming, [output], [], facts)

    def live(self, value):
        """Give what comes from the data a name, and keep a copy."""
        name = f"v{len(self.held)}"
        self.held.append(value)
        self.names[id(value)] = name
        if self.keep and value.numel():
            self.values[name] = value.detach().clone()
        return name

    def name(self, value):
        """The name of a value; None for what isn't computed from the data."""
        return self.names.get(id(value))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = _name(func)
        if func is F.multi_head_attention_forward:
            with self:
                return attention.forward(*args, **kwargs)
        tensors = [x for x in flat((args, tuple(kwargs.values()))) if isinstance(x, torch.Tensor)]
        incoming = [self.names[id(x)] for x in tensors if id(x) in self.names]
        if not incoming or name in _NOT_LIVE:
            return self._of_weights(name, func, args, kwargs, tensors)
        if name in _SKIPPED:
            output = func(*args, **kwargs)
            if isinstance(output, torch.Tensor):
                self.held.append(output)
                self.names.setdefault(id(output), incoming[0])
            return output
        number = self.count
        quiet, options = kinds.quiet(name, args, kwargs)
        output = self._computed(number, name, func, quiet, options)
        results = [x for x in flat(output) if isinstance(x, torch.Tensor)]
        if name == "__setitem__":
            results = [args[0]]
        if results:
            self.count += 1
            if self.until is not None and number > self.until:
                raise _EnoughError
            self._write(number, name, args, kwargs, incoming, results)
        return output

    def _computed(self, number, name, func, args, kwargs):
        training = self.model.training
        edits = [edit for edit in self.edits.get(number, ()) if edit.get("training", training) == training]
        if not edits:
            return func(*args, **kwargs)
        if name.endswith("_") and not name.endswith("__"):
            output = editing.apply(edits, name.rstrip("_"), getattr(torch, name.rstrip("_")), args, kwargs)
            args[0].data.copy_(output)
            return args[0]
        if name not in kinds.SIGNATURES:
            plain = func(*args, **kwargs)
            if not flat(plain):  # a size or a type: no call that is counted
                return plain
        return editing.apply(edits, name, func, args, kwargs, lambda x: self._note(number, x))

    def _note(self, number, value):
        """Keep what a change put before a call; the values behind it keep their names."""
        if self.keep:
            self.values[f"e{number}"] = value.detach().clone()

    def _of_weights(self, name, func, args, kwargs, tensors):
        """Follow an array's elements through what only moves them about."""
        output = func(*args, **kwargs)
        roots = [self.weights[id(x)] for x in tensors if id(x) in self.weights]
        if len(tensors) == 1 and roots and name in kinds.MOVES:
            root, index = roots[0]
            if isinstance(index, str):
                self.held.append(output)
                for part in flat(output):
                    self.weights[id(part)] = (root, index)
                return output
            if index is None:
                index = torch.arange(tensors[0].numel(), device="cpu").reshape(tensors[0].shape)
            function = (lambda x: x) if name in _SKIPPED else func
            moved = function(index, *args[1:], **kwargs)
            for part, where in zip(flat(output), flat(moved), strict=True):
                self.held.append(part)
                self.weights[id(part)] = (root, where)
        elif roots and isinstance(output, torch.Tensor):
            self.held.append(output)  # computed from weights: they are read here, their layout is lost
            self.weights[id(output)] = (roots[0][0], "computed")
        return output

    def _write(self, number, name, args, kwargs, incoming, results):
        kind, bound = kinds.bind(name, args, kwargs)
        place = self.stack[-1]
        roles = kinds.ROLES.get(kind, {})
        used = []
        for argument, value in bound.items():
            parts = value if isinstance(value, (tuple, list)) else [value]
            for n, part in enumerate(parts):
                if id(part) in self.weights:
                    root, index = self.weights[id(part)]
                    role = roles.get(argument, argument if len(parts) == 1 else f"{argument}{n}")
                    used.append(
                        {"role": role, "name": root, "index": _index(index), "shape": list(part.shape)}
                    )
        facts = kinds.facts(kind, name, bound, self.modules.get(place))
        self._append(number, kind, incoming, results, used, {**facts, "shape": list(results[0].shape)})

    def _append(self, number, kind, incoming, results, used, facts):
        place = self.stack[-1]
        module = self.modules.get(place)
        self.calls.append(
            {
                "index": number,
                "kind": kind,
                "place": place,
                "type": "" if module is None else type(module).__name__,
                "inputs": incoming,
                "outputs": [self.live(x) for x in results],
                "arrays": used,
                "facts": facts,
            }
        )


@contextmanager
def kept(model):
    """Put buffers and modes back at the end: without gradients a pass changes nothing else but rows of a `max_norm`."""
    rows = [one.weight for one in model.modules() if getattr(one, "max_norm", None) is not None]
    before = [(value, value.detach().clone()) for value in (*model.buffers(), *rows)]
    try:
        with keeping.modes_kept(model):
            yield
    finally:
        with torch.no_grad():
            for value, copy in before:
                value.copy_(copy)


def mode(model, training):
    """Put a model into a mode; what is random stays off."""
    model.train(training)
    for module in model.modules():
        if training and _is_noise(module):
            module.eval()


def tensor(array):
    """Copy an array to a tensor, floating-point ones in the default type."""
    made = torch.from_numpy(np.array(array, order="C"))
    return made.to(torch.get_default_dtype()) if made.is_floating_point() else made.long()


def flat(value):
    """The tensors of a nested result, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return [part for one in value for part in flat(one)]
    return []


def returned(outputs):
    """The tensors that a model returns; a plain dictionary's in the order of its keys, as Keras has them."""
    return flat(dict(sorted(outputs.items())) if type(outputs) is dict else outputs)


def _is_noise(module):
    name = type(module).__name__.lower()
    return any(word in name for word in ("dropout", "droppath", "drop_path", "stochasticdepth", "noise"))


def state(model):
    """All of a model's parameters and buffers by name; a shared one has every name."""
    found = dict(model.named_parameters(remove_duplicate=False))
    return {**found, **dict(model.named_buffers(remove_duplicate=False))}


def _name(func):
    name = getattr(func, "__name__", str(func))
    return func.__self__.__name__ if name == "__get__" else name


def _index(index):
    return index if index is None or isinstance(index, str) else index.numpy()
