"""What a pass did, written down call by call, and what it has changed."""

import random
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from . import keeping, nested, owned, within


@dataclass
class Trace:
    """What a pass did, call by call.

    Attributes:
        norms: call of a normalising function -> (how, `calls.Norm` without its input's values, path of the module).
        noises: (path, function, number of the call) -> whether the noise was on.
        reached: modules that were called -> how often.
        drew: modules that drew random numbers by themselves; the outermost stands for a step, too.
        inside: whether the outermost did so in its own ``forward``.
        early: those of them that did so before any parameter was used.
        largest: path -> the largest random tensor and the largest input, in values a call.
        inputs: path -> the last input of a normalisation with an arithmetic of its own.
        taken: path -> the statistics that the first call took: of which tensor, and the result; see `within`.
        around: path -> that module's buffers by name, before and after that call.
    """

    norms: dict = field(default_factory=dict)
    noises: dict = field(default_factory=dict)
    reached: dict = field(default_factory=dict)
    drew: set = field(default_factory=set)
    early: set = field(default_factory=set)
    inside: bool = False
    largest: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    taken: dict = field(default_factory=dict)
    around: dict = field(default_factory=dict)


def follow(subject, batches, training):
    """Trace a pass of a subject's model over each of some batches, in training or in evaluation.

    Returns:
        The first batch's `Trace`, and the names of the buffers that moved in any.
    """
    before, first = _Before(subject.module), None
    with keeping.buffers_kept(subject.switches.modules):
        for i, batch in enumerate(batches):
            with torch.no_grad(), subject.switches.tracing(training) as now, _of_mode(training):
                subject.objective.measure(batch, training, index=i)
            first = now if first is None else first
        moved = before.moved()
    subject.changes |= before.others()
    return first, moved


class Tracing:
    """Writes down what a pass does at each call; what else may happen there is `thrown.Thrown`'s.

    Args:
        switches: a `switches.Switches`.

    Attributes:
        trace: the `Trace` that it is written to.
    """

    def __init__(self, switches):
        self.switches, self.trace = switches, Trace()
        self._drawn = _generators()  # as they were when they were looked at last
        self._weighed = False  # whether a parameter has been used

    def look(self, path):
        """See whether the module that was at work since the last look has drawn random numbers."""
        now = _generators()
        if now != self._drawn:
            self.trace.drew.add(path)
            self.trace.inside |= path == "" and bool(self.switches.place.stack)
            if not self._weighed:
                self.trace.early.add(path)
            self._drawn = now

    def enter(self, module, path, inputs):
        """A module is called."""
        trace = self.trace
        self.look(self.switches.here())
        trace.reached[path] = trace.reached.get(path, 0) + 1
        tensors = [x for x in inputs if isinstance(x, torch.Tensor)]
        trace.largest.setdefault(path, [0, 0])[1] = max((x.numel() for x in tensors), default=0)
        if tensors and owned.find(module) is not None:
            trace.inputs[path] = tensors[0].detach().clone()
        if within.may_be(module) and path not in trace.around:
            trace.taken[path], trace.around[path] = [], (_copied(module), None)
        self._weighed |= any(p is not None for p in module._parameters.values())

    def leave(self, module, path):
        """A module's call is over."""
        self.look(path)
        before, after = self.trace.around.get(path, (None, {}))
        if after is None:
            self.trace.around[path] = (before, _copied(module))

    def take(self, x, result):
        """A module takes a statistic of a tensor."""
        path = self.switches.here()
        if self.trace.around.get(path, (None, {}))[1] is None:
            self.trace.taken[path].append((x.detach().clone(), result))
        return result

    def norm(self, call):
        """A normalising function is called: its result."""
        how = "moving" if not call.batch else "sample" if call.by_sample else "batch"
        self.trace.norms[self.switches.name(call)] = (how, call, self.switches.here())
        result = call.function(**call.given)
        call.x = call.given["input"] = None  # the trace stays, and holds no values
        return result

    def noise(self, call):
        """A function with noise in it is called: its result."""
        key = self.switches.noise_key(call)
        self.trace.noises[key] = call.on
        if call.flag != "training" and call.on:
            self.switches.probabilities[key] = call.given[call.flag]
        self.look(self.switches.here())
        result = call.again(call.given[call.flag])
        self._drawn = _generators()  # what the function draws isn't the module's own
        return result

    def draw(self, values):
        """Another random function has given some values."""
        size = self.trace.largest.setdefault(self.switches.here(), [0, 0])
        size[0] = max(size[0], values.numel() if isinstance(values, torch.Tensor) else 1)


class _Before:
    """A module before a pass, to say what the pass has changed."""

    def __init__(self, module):
        self.module = module
        self.buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        self.weights, self.attributes = _sums(module), keeping.Attributes(module)

    def moved(self):
        """The names of buffers that hold something else now."""
        now = [(name, buffer) for name, buffer in self.module.named_buffers() if name in self.buffers]
        return {name for name, buffer in now if not nested.equal(buffer, self.buffers[name])}

    def others(self):
        """What else is changed: ``weights``, ``attributes``."""
        found = {"weights"} if _sums(self.module) != self.weights else set()
        return found if keeping.Attributes(self.module).same(self.attributes) else found | {"attributes"}


def _sums(module):
    """Numbers that tell whether parameters are changed, past whatever counts a tensor's versions."""
    return [
        (torch.view_as_real(p.detach()) if p.is_complex() else p.detach()).sum(dtype=torch.float64).item()
        for p in module.parameters()
        if not torch.nn.parameter.is_lazy(p)
    ]


@contextmanager
def _of_mode(training):
    """Tell of an error in evaluation that training had none: a model may return something else there."""
    try:
        yield
    except Exception as error:
        if not training:
            error.add_note("in evaluation mode; in training mode the same batch passes")
        raise


def _generators():
    """The states of all generators on the processor, in a form that can be compared."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), kind, keys.tobytes(), rest, torch.get_rng_state().numpy().tobytes()


def _copied(module):
    return {name: tensor.detach().clone() for name, tensor in owned.buffers(module).items()}
