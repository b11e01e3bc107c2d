"""Find what a model does differently in training and in evaluation, and throw each switch on its own.

A switch is ``dropout`` (any noise), ``augmentation``, ``normalisation`` or ``other`` (whatever else reads the
mode). Between every layer and its `call` stands a `Switches`: it sees what a layer is really given, whatever its
flags and the ``training=`` in a graph say, and may have it run as in `fit`, as in `evaluate`, or with other
statistics.
"""

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras

from . import lockstep
from .keeping import replaced, seed_all, value
from .moments import moments, samples, spread


@dataclass(eq=False)
class Site:
    """A layer, and what it is given and does in one forward pass.

    Attributes:
        name: the layer's own, or its path where another layer has the same.
        layer: the layer.
        parent: the site that it is inside; None for the model itself.
        children: whether there are layers inside.
        fit, evaluate: the `training` of each of its calls, in training and in evaluation.
        asked: what the code around it says (``training=``) in training and in evaluation; None where nothing.
        role: ``normalisation``, ``dropout``, ``augmentation``, ``other``, or ``objective`` where only the loss that
            it adds is another; None where it does nothing by itself.
        switch: whether training and evaluation use it differently.
        owned: what a normalisation has stored, see `owned.Owned`.
        order: the place of its first call among all.
        compiled: whether it trains in a `fit` that was traced before that was changed; None where it wasn't.
        differs, draws: whether a call in training gives something else than one in evaluation, or than another.
        adds: whether it adds another loss in training than in evaluation, by itself.
        uses: what it normalises with in training and in evaluation, or whether it's on.
        moves: whether it changes variables of its own in training and in evaluation.
    """

    name: str
    layer: Any
    parent: Any = None
    children: bool = False
    fit: list = field(default_factory=list)
    evaluate: list = field(default_factory=list)
    asked: list = field(default_factory=lambda: [None, None])
    role: str | None = None
    switch: bool = False
    owned: Any = None
    uses: list = field(default_factory=lambda: ["unreached", "unreached"])
    moves: list = field(default_factory=lambda: [False, False])
    differs: bool = False
    draws: bool = False
    adds: bool = False
    order: int = 10**9
    compiled: bool | None = None

    def as_compiled(self, fit):
        """Have the layer train or not as `fit` knows it, where that was changed since."""
        return (
            replaced(self.layer, _trainable=self.compiled)
            if fit and self.compiled is not None
            else nullcontext()
        )

    def mode(self, index, fit):
        """Give the `training` of a call in training or in evaluation; that of the other where it has none."""
        given = (self.fit or self.evaluate) if fit else self.evaluate
        return given[min(index, len(given) - 1)] if given else None


class Switches:
    """The switches of one model.

    Attributes:
        sites: the model and its layers, from the outside in.
        moving: variables that a forward pass in training changes by itself, with their values.
    """

    def __init__(self, model):
        self.model = model
        self.sites = _sites(model)
        self.moving = []
        self._here = threading.local()

    @contextmanager
    def between(self, handle):
        """Have every call of every layer made by ``handle(site, index, call, args, options)``."""
        with ExitStack() as stack:
            for site in self.sites:
                call = partial(self._count, site, site.layer.call, handle)
                stack.enter_context(replaced(site.layer, call=call))
            yield

    def begin(self, seed=0, place=0):
        """Start a forward pass: its calls are counted anew, its random numbers depend on seed and place alone."""
        self.count()
        seed_all((seed, place), self.model)

    def count(self):
        """Count the calls of a forward pass anew."""
        self._here.counts = Counter()

    def put(self, key, mean, variance):
        """Put statistics in place for the call of that name, until `put_back`."""
        name = key.rsplit("#", 1)[0] if key.rpartition("#")[2].isdigit() else key
        next(site for site in self.sites if name == site.name and site.owned).owned.put(mean, variance)

    def put_back(self):
        """Undo what a pass as in training changes by itself."""
        for variable, values in self.moving:
            variable.assign(values)

    def present(self):
        """Say which switches are there."""
        return {site.role for site in self.sites if site.switch}

    def standing(self, fit, statistics=None, collect=None, stop=False):
        """Throw the switches: those in ``fit`` as in training, the others as in evaluation.

        Args:
            fit: names of switches.
            statistics: call -> (mean, variance) that it normalises with instead.
            collect: a `gathering.Gathering` for what reaches the calls that differ.
            stop: whether the pass waits at every call that differs until all passes are there (`lockstep`).
        """

        def handle(site, index, call, args, options):
            as_in_fit = site.switch and site.role in fit
            if site.switch and site.role == "normalisation":
                key, x, mask = called(site, index), args[0], options.get("mask")
                if collect is not None:
                    look = spread if getattr(collect, "traces", False) else samples
                    collect.take(key, *look(x, site.owned.axis, mask), unbiased=site.owned.unbiased)
                if stop:
                    lockstep.stop(key, moments(x, site.owned.axis, mask))
                if stop or (statistics is not None and key in statistics):
                    as_in_fit = site.uses[1] != "moving"
                    if not stop:
                        site.owned.put(*statistics[key])
                elif statistics is not None:
                    as_in_fit = False
            if site.owned and getattr(site.layer, "renorm", False) and (stop or statistics is not None):
                return _renormed(site, call, args, given(site, options, True))
            with site.as_compiled(as_in_fit):
                return call(*args, **given(site, options, site.mode(index, as_in_fit)))

        return self.between(handle)

    def _count(self, site, call, handle, *args, **options):
        args, options = _named(site.layer, args, options)
        counts = self._here.counts
        index = counts[site]
        counts[site] += 1
        return handle(site, index, call, args, options)


def called(site, index):
    """Name a call of a layer: by its number from the second on."""
    return site.name if index == 0 else f"{site.name}#{index + 1}"


def given(site, options, mode):
    """Give a call the mode, where it takes one."""
    if not site.layer._call_has_training_arg:
        return options
    return {**options, "training": mode}


def _renormed(site, call, args, options):
    """Have batch renormalisation correct statistics that are put in place as it corrects a batch's own.

    What it is moved by comes back at once: other batches wait at the layer for the same statistics.
    """
    held = [(variable, value(variable)) for variable in site.layer.non_trainable_variables]
    stored = [value(variable) for variable in site.owned.pair]
    with replaced(
        site.layer, _moments=lambda inputs, mask: [keras.ops.cast(v, inputs.dtype) for v in stored]
    ):
        outputs = call(*args, **options)
    for variable, values in held:
        variable.assign(values)
    return outputs


def _named(layer, args, options):
    """Have a mode that is given by its place given by its name."""
    names = list(layer._call_signature.parameters)
    at = names.index("training") if "training" in names else len(args)
    return args[:at], {**dict(zip(names[at:], args[at:], strict=False)), **options}


def _sites(model):
    """List the model and every layer inside that may read a mode or normalise, from the outside in."""
    found = {}

    def walk(layer, path, parent):
        if id(layer) in found:
            return
        inside = layer._flatten_layers(include_self=False, recursive=False)
        site = found[id(layer)] = Site(path or layer.name, layer, parent, bool(inside))
        for child in inside:
            walk(child, f"{path}/{child.name}" if path else child.name, site)

    walk(model, "", None)
    sites = list(found.values())
    traced = getattr(model, "train_function", None) is not None and not model.run_eagerly
    if traced and keras.backend.backend() == "tensorflow":
        for site in sites:
            before = model._compiled_trainable_state.get(site.layer, site.layer.trainable)
            site.compiled = None if before == site.layer.trainable else before
    count = Counter(site.layer.name for site in sites)
    for site in sites:
        if count[site.layer.name] == 1:
            site.name = site.layer.name
    return sites
