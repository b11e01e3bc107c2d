"""Forward passes as graphs, as `fit` and `evaluate` run them: in half the time of one operation after the other.

Only on TensorFlow's backend, whose `tf.function` has no name in Keras; and only of models all of whose layers are
Keras's own, so that tracing one pass shows all that every pass does. Tracing takes as long as some batches, so that a
graph is made where many values pass.
"""

import sys
from contextlib import nullcontext
from functools import partial
from operator import length_hint

import keras
import numpy as np

from .evidence import Pass
from .gathering import Gathering
from .keeping import replaced

# values that must pass, over all samples and for each layer, for tracing to be worth its time
WORTH = 30_000
# values of inputs that may pass as one batch: what a network makes of them must fit into memory many times over
AT_ONCE = 2**24
_EAGER = (keras.layers.Wrapper, keras.layers.RNN, keras.layers.Lambda)


class Graphs:
    """The graphs of one model's forward pass, one for each stand of its switches.

    Args:
        model: the model.
        switches: its `switches.Switches`, once layers are observed.
    """

    def __init__(self, model, switches):
        self.model, self.switches = model, switches
        self.layers = len(switches.sites)
        self.usable = keras.backend.backend() == "tensorflow" and not model.run_eagerly
        self.usable = self.usable and all(map(_plain, switches.sites))
        self._made = {}

    def forward(self, batches, fit=frozenset(), gathering=None):
        """What computes the outputs of a batch's inputs, in place of the model's call; None where that is no quicker.

        Args:
            batches: all that will pass, more than once if they are asked for.
            fit: the switches that stand as in training.
            gathering: a `gathering.Gathering` for what reaches the calls that differ.
        """
        count = length_hint(batches, 0)
        first = next(iter(batches)).inputs if self.usable and count else None
        leaves = keras.tree.flatten(first)
        if any(leaf is None for leaf in leaves):
            return None
        known = self._made.get(fit)
        if known is None or (gathering is not None and not known.collects):
            if count * values(first) < WORTH * self.layers:
                return None
            try:
                known = self._made[fit] = _Graph(self, first, fit, gathering is not None)
            except Exception:  # whatever can't be traced passes as it did before
                self.usable = False
                return None
        return lambda inputs, training: known(inputs, gathering)

    def at_once(self, subject, batches):
        """The population's statistics, and the pass with them, by a single batch of all samples.

        Lockstep can't be a graph, and takes twice as long; it needs less memory.

        Returns:
            As `probing.Subject.population`; None where lockstep is better.
        """
        if not self.usable or sum(values(batch.inputs) for batch in batches) > AT_ONCE:
            return None
        gathering, sizes = Gathering(), [batch.size for batch in batches]
        try:
            every = subject.join(batches, np.arange(sum(sizes)))
        except ValueError:
            return None
        forward = self.forward([every], frozenset({"normalisation"}), gathering)
        if forward is None:
            return None
        self.switches.begin()
        outputs = forward(keras.tree.map_structure(keras.ops.convert_to_tensor, every.inputs), False)
        self.switches.put_back()
        parts = iter(_cut(outputs, sizes))
        with replaced(subject.objective, forward=lambda inputs, training: next(parts)):
            steps = [subject.objective.measure(batch, False, whole=False) for batch in batches]
        pooled = {name: (one.mean, one.variance) for name, one in gathering.seen().items()}
        return pooled, Pass(steps, subject.objective.figures(steps, False))


def by_xla(model):
    """The model's call in evaluation, as XLA compiles it; None where its own evaluation isn't compiled so."""
    compiled = model.compiled and model.jit_compile and not model.run_eagerly
    if keras.backend.backend() != "tensorflow" or not compiled:
        return None
    function = sys.modules["tensorflow"].function(
        lambda inputs: model(inputs, training=False), autograph=False, jit_compile=True
    )
    return lambda inputs, training: function(inputs)


def values(inputs):
    """How many values there are in a batch's inputs."""
    return sum(int(np.prod(leaf.shape)) for leaf in keras.tree.flatten(inputs))


class _Graph:
    """One graph, for batches of any size."""

    def __init__(self, graphs, inputs, fit, collects):
        self.collects, noted, thrown = collects, _Noted(), bool(fit) or collects
        model, switches, tensorflow = graphs.model, graphs.switches, sys.modules["tensorflow"]
        self._model, self._count, self._kinds = model, switches.count, _kinds(inputs)
        self._standing = partial(switches.standing, fit, None)

        def forward(inputs):
            noted.clear()
            with switches.standing(fit, None, noted if collects else None) if thrown else nullcontext():
                switches.count()
                return model(inputs, training=False), noted.tensors

        def spec(leaf):
            dtype = keras.backend.standardize_dtype(leaf.dtype)
            return tensorflow.TensorSpec((None, *leaf.shape[1:]), dtype)

        signature = [keras.tree.map_structure(spec, inputs)]
        self._function = tensorflow.function(forward, signature, autograph=False)
        self._function.get_concrete_function()
        self._calls = list(noted.calls)

    def __call__(self, inputs, gathering):
        if _kinds(inputs) != self._kinds:  # images of another size, which a graph of their own isn't worth
            with self._standing(gathering):
                self._count()
                return self._model(inputs, training=False)
        outputs, found = self._function(inputs)
        if gathering is not None:
            for (name, positions, options), (means, variances) in zip(self._calls, found, strict=True):
                gathering.take(name, _wide(means), _wide(variances), positions, **options)
        return outputs


class _Noted:
    """Stands for a `gathering.Gathering` while a pass is traced: keeps tensors, which have no values yet."""

    traces = True

    def __init__(self):
        self.clear()

    def clear(self):
        self.calls, self.tensors = [], []

    def take(self, name, means, variances, positions, **options):
        self.calls.append((name, positions, options))
        self.tensors.append((means, variances))


def _kinds(inputs):
    """The shape of a sample, and its type, for each of the inputs."""
    leaves = keras.tree.flatten(inputs)
    return [(tuple(leaf.shape[1:]), keras.backend.standardize_dtype(leaf.dtype)) for leaf in leaves]


def _cut(outputs, sizes):
    """The outputs of several batches, in those of all their samples."""
    ends = np.cumsum(sizes)
    return [
        keras.tree.map_structure(lambda x, part=slice(end - size, end): x[part], outputs)
        for size, end in zip(sizes, ends, strict=True)
    ]


def _plain(site):
    """Whether a layer does the same in every pass, is called once, and tells all that it does by its outputs."""
    layer = site.layer
    return (
        type(layer).__module__.startswith("keras.")
        and not isinstance(layer, _EAGER)
        and not getattr(layer, "renorm", False)
        and getattr(layer, "activity_regularizer", None) is None
        and max(len(site.fit), len(site.evaluate)) <= 1
        and site.role != "augmentation"
        and (not site.owned or not site.switch or site.uses == ["batch", "moving"])
    )


def _wide(tensor):
    return keras.ops.convert_to_numpy(tensor).astype(np.float64)
