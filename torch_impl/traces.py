"""What a pass did, written down call by call."""

import random
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import torch

from . import owned, within


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


def _generators():
    """The states of all generators on the processor, in a form that can be compared."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), kind, keys.tobytes(), rest, torch.get_rng_state().numpy().tobytes()


def mixed(seed, key):
    """A seed for one place, the same in every process."""
    return crc32(repr((seed, key)).encode())


def _copied(module):
    return {name: tensor.detach().clone() for name, tensor in owned.buffers(module).items()}
