"""Find what a model does differently in training and in evaluation, and throw each switch on its own.

A switch is ``dropout`` (any noise), ``augmentation``, ``normalisation`` or ``other`` (whatever else reads the
mode); ``objective`` is the mode of the outermost module where a step reads that.
"""

from contextlib import contextmanager

from torch import nn

from . import asking, calls, owned, traces, within
from .thrown import Thrown, numbered

_AUGMENTS = ("random", "augment", "jitter", "flip", "crop", "erasing", "cutout", "mixup", "cutmix")
_NOISES = ("drop", "noise", "stochastic")


class Switches:
    """The switches of one model.

    Attributes:
        fit_modes, evaluate_modes: path -> ``training`` of the module, in training and in evaluation.
        fit, evaluate: the traces of both, empty before `trace`.
        groups: path of a module whose mode differs -> its switch.
        owned: path -> `owned.Owned` of normalisations with an arithmetic of their own.
        trainable: the parameters that training changes, by their id.
    """

    def __init__(self, model, trainable=None):
        self.model = model
        self.trainable = asking.trainable_of(model) if trainable is None else trainable
        self.modules = dict(model.named_modules())
        self.fit_modes, self.evaluate_modes = asking.modes_of(model)
        self.fit, self.evaluate = traces.Trace(), traces.Trace()
        self.groups, self.owned, self.probabilities = {}, {}, {}
        for module in self.modules.values():
            owned.find(module)  # what has to be tried is, before anything is watched
        self.place = calls.Place()
        self._buffers = {id(buffer): name for name, buffer in model.named_buffers()}

    def set_modes(self, modes):
        """Set every module's own flag, past any ``train`` of a person's."""
        for path, mode in modes.items():
            self.modules[path].training = mode

    @contextmanager
    def tracing(self, training):
        """Write down what a pass does with the modes of training, or of evaluation."""
        tracing = traces.Tracing(self)
        self.set_modes(self.fit_modes if training else self.evaluate_modes)
        self.place.reset()
        with (
            calls.placed(self.model, self.place, tracing.enter, tracing.leave),
            calls.Watching(tracing.norm, tracing.noise, tracing.draw, tracing.take),
        ):
            yield tracing.trace
            tracing.look("")

    def trace(self, fit, evaluate):
        """Take the traces of both and sort what differs into switches."""
        self.fit, self.evaluate = fit, evaluate
        for path, taken in fit.taken.items():
            found = within.find(self.modules[path], taken, *fit.around[path])
            if found is not None:
                owned.known_within[self.modules[path]] = found
        self.owned = {
            path: found
            for path, module in self.modules.items()
            if path not in {at for _, _, at in fit.norms.values()}
            if (found := owned.find(module)) is not None and found.fits(self.fit.inputs.get(path))
        }
        for path in self.modules:
            if self.fit_modes[path] != self.evaluate_modes[path]:
                self.groups[path] = self._group(path)

    def present(self):
        """Say which switches are there."""
        found = {group for path, group in self.groups.items() if group in ("other", "objective")}
        found |= {
            self.groups[path]
            for path in self.fit.drew
            if self.groups.get(path) in ("dropout", "augmentation")
        }
        if self.differing_noises():
            found.add("dropout")
        if self.differing_norms() or any(self.groups.get(path) == "normalisation" for path in self.owned):
            found.add("normalisation")
        return found

    def differing_norms(self):
        """The normalisation calls that training and evaluation make differently, in their order."""
        found = [
            key
            for key, (how, _, _) in self.fit.norms.items()
            if key in self.evaluate.norms and self.evaluate.norms[key][0] != how
        ]
        for path, own in self.owned.items():
            if self.groups.get(path) == "normalisation" and own.pair:
                found += [numbered(path, i + 1) for i in range(self.fit.reached.get(path, 0))]
        return found

    def differing_noises(self):
        """Calls of functions with noise whose flag differs: key -> whether it's on in training."""
        return {
            key: on
            for key, on in self.fit.noises.items()
            if key in self.evaluate.noises and self.evaluate.noises[key] != on
        }

    @contextmanager
    def standing(self, fit, statistics=None, collect=None, seed=0):
        """Throw the switches for one batch: those in ``fit`` as in training, the others as in evaluation.

        Args:
            fit: names of switches.
            statistics: call -> (mean, variance) that it normalises with instead.
            collect: a `gathering.Gathering` for what reaches the calls that differ.
            seed: of the random numbers, for each module that draws some.
        """
        thrown = Thrown(self, fit, statistics or {}, collect, seed)
        self._throw(fit)
        self.place.reset()
        watching = calls.Watching(thrown.norm, thrown.noise, take=thrown.taking)
        with calls.placed(self.model, self.place, thrown.enter), watching:
            yield

    @contextmanager
    def side_by_side(self, pool):
        """Let passes in threads of their own stop at every call that differs, until all passes are there.

        Yields a context manager for each pass, entered in its thread; ``pool`` is what the calls normalise with.
        """
        thrown = Thrown(self, frozenset(), pool, None, 0, stop=True)
        self._throw(frozenset())

        @contextmanager
        def one():
            self.place.reset()
            with calls.Watching(thrown.norm, thrown.noise, take=thrown.taking):
                yield

        with calls.placed(self.model, self.place, thrown.enter):
            yield one

    def _throw(self, fit):
        modes = (self.evaluate_modes, self.fit_modes)
        self.set_modes({path: modes[self.groups.get(path, "inert") in fit][path] for path in self.modules})

    def _group(self, path):
        module, kind = self.modules[path], type(self.modules[path]).__name__.lower()
        if path in {at for _, _, at in self.fit.norms.values()} and path not in self.fit.drew:
            return "normalisation"
        if path in self.owned and path not in self.fit.drew:
            return "normalisation"
        draws = path in self.fit.drew and path not in self.evaluate.drew
        if isinstance(module, nn.modules.dropout._DropoutNd) or (draws and any(n in kind for n in _NOISES)):
            return "dropout"
        if not draws:
            at = [key for key in self.fit.noises if key[0] == path]
            if at and not list(module.children()) and not module._parameters:
                return "dropout"
            return "inert" if _only_passes_on(module) else "other"
        drawn, size = self.fit.largest.get(path, (0, 0))
        early = path in self.fit.early and (drawn < size / 2 or any(n in kind for n in _AUGMENTS))
        return "augmentation" if early else "dropout"

    def may_be_other(self, path):
        """Whether a mode that differs could do anything that no other switch stands for."""
        called = path in self.fit.reached or path in self.evaluate.reached
        # one that is never called by itself may have its mode read by what holds it
        return self.groups[path] == "other" or (called and path in self.owned)

    def here(self):
        """Path of the module that is being called."""
        return self.place.stack[-1] if self.place.stack else ""

    def name(self, call):
        """The call's name: of the layer that holds what it has stored, and which of that layer's calls it is."""
        path = self.here()
        stored = self._buffers.get(id(call.mean)) if call.mean is not None else None
        if stored is not None:
            path = stored.removesuffix(".running_mean")
        elif call.mean is not None:
            self._buffers[id(call.mean)] = path
        return numbered(path, self.place.count(("norm", path)))

    def noise_key(self, call):
        """Which call of a function with noise this is: path of the module, function, number."""
        path, name = self.here(), call.function.__name__
        return path, name, self.place.count((path, name))


def _only_passes_on(module):
    """Whether a module's own forward is PyTorch's, and reads no mode."""
    kind = type(module)
    return kind.__module__.startswith("torch.nn.") and kind.forward in _BLIND


_BLIND = {
    nn.Sequential.forward, nn.Linear.forward, nn.Conv1d.forward, nn.Conv2d.forward, nn.Conv3d.forward,
    nn.ReLU.forward, nn.Flatten.forward, nn.Identity.forward, nn.LayerNorm.forward, nn.GroupNorm.forward,
}  # fmt: skip
