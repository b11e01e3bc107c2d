"""What happens at the calls of a pass while the switches of a model stand in some way; see `switches`."""

from zlib import crc32

import torch

from . import lockstep, within
from .keeping import seed_all
from .moments import moments, samples


class Thrown:
    """What a pass does at each call.

    Args:
        switches: a `switches.Switches`.
        fit: names of the switches that stand as in training.
        given: call -> (mean, variance) that it normalises with instead.
        collect: a `gathering.Gathering` for what reaches the calls that differ; None for nothing.
        seed: of the random numbers, for each module that draws some.
        stop: whether each call that differs waits there for the other passes.
    """

    def __init__(self, switches, fit, given, collect, seed, stop=False):
        self.switches, self.fit, self.given, self.collect = switches, fit, given, collect
        self.seed, self.stop = seed, stop
        self.differing, self.noises = set(switches.differing_norms()), switches.differing_noises()

    def norm(self, call):
        """A call of a normalising function: its result, or None for as it was meant."""
        key = self.switches.name(call)
        if key not in self.differing:
            return call.with_own() if call.batch else None
        self._look(key, call.x, call.by_sample)
        if key in self.given:
            return call.with_given(*self.given[key])
        trace = self.switches.fit if "normalisation" in self.fit else self.switches.evaluate
        how, known, _ = trace.norms[key]
        if how != "moving":
            return call.with_own()
        stored = call if call.mean is not None else known
        return call.with_given(stored.mean, stored.variance)

    def noise(self, call):
        """The same of a call with noise in it."""
        key = self.switches.noise_key(call)
        seed_all(_mixed(self.seed, key))
        if key not in self.noises:
            return None
        on = self.noises[key] if "dropout" in self.fit else self.switches.evaluate.noises[key]
        if on == call.on:
            return None
        if call.flag == "training":
            return call.again(on)
        return call.again(self.switches.probabilities.get(key, 0.0) if on else 0.0)

    def enter(self, module, path, inputs):
        """A module is called: seed what it draws, and give it statistics where its arithmetic is its own."""
        place = self.switches.place
        if path in self.switches.fit.drew:
            seed_all(_mixed(self.seed, (path, place.count(("draws", path)))))
        own = self.switches.owned.get(path)
        if own is None:
            return
        key = numbered(path, place.count(("norm", path)))
        if key not in self.differing:
            return
        if isinstance(own, within.Within):
            # it takes its own statistics in training only, and is told those that are given there
            if key in self.given or self.stop or self.collect is not None:
                module.training = self.switches.fit_modes[path]
            return
        self._look(key, own.rows(next(x for x in inputs if isinstance(x, torch.Tensor))), False)
        if key in self.given:
            module.training = self.switches.evaluate_modes[path]
            own.put(*self.given[key])

    @property
    def taking(self):
        """What is called with the statistics that somebody takes; None where no layer writes its own out within."""
        inside = any(isinstance(own, within.Within) for own in self.switches.owned.values())
        return self._take if inside else None

    def _take(self, x, result):
        place = self.switches.place
        if not place.stack:  # a loss takes means, too, outside of the model
            return result
        path = self.switches.here()
        own, key = self.switches.owned.get(path), numbered(path, place.counts.get(("norm", path), 1))
        if not isinstance(own, within.Within) or key not in self.differing:
            return result
        number = place.count(("taken", key))
        if number == own.first:
            self._look(key, own.rows(x), False)
        if key not in self.given and "normalisation" in self.fit:
            return result
        return own.told(number, result, *(self.given[key] if key in self.given else own.stored()))

    def _look(self, key, x, by_sample):
        if self.collect is not None:
            self.collect.take(key, *samples(x), by_sample=by_sample, unbiased=True)
        if self.stop:
            lockstep.stop(key, moments(x))


def numbered(name, number):
    """A call's name: the layer's, with the number of the call from the second on; the model's own is ``forward``."""
    name = name or "forward"
    return name if number == 1 else f"{name}#{number}"


def _mixed(seed, key):
    """A seed for one place, the same in every process."""
    return crc32(repr((seed, key)).encode())
