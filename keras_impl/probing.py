"""One person's Keras model, and everything that the diagnosis can ask of it."""

from contextlib import contextmanager, suppress
from functools import partial

import keras
import numpy as np
from keras import ops

from . import acting, keeping, lockstep, updating
from .evidence import Batch, Facts, Pass
from .gathering import Gathering, Reached, Until
from .graphs import Graphs, by_xla
from .initial import initial
from .keeping import replaced
from .objectives import Objective
from .statistics import forgetting
from .switches import Switches


def is_model(thing):
    """Whether this is something that `Subject` takes."""
    return isinstance(thing, keras.Model)


class Subject:
    """A person's model under measurement.

    Args:
        model: a built `keras.Model`.
        loss, step, metrics: see `objectives.Objective`.
        batch_size: of `fit`, for the record.
        limit: samples that may pass side by side.

    Raises:
        ValueError: the model has no weights yet, or no loss.
    """

    def __init__(self, model, *, loss=None, step=None, metrics=None, batch_size=None, limit=320):
        if not model.built and not model.weights:
            raise ValueError("the model has no weights yet: fit it, or call it on a batch, first")
        self.model, self.limit = model, limit
        self.objective = Objective(model, loss, step, metrics)
        self.name = model.name
        self.batch_size = batch_size
        # DIFFERS: a layer has no mode that a step could see, its call's argument decides
        self.modes = {}
        # DIFFERS: a step of the model's own shows which variables its optimizers are given
        self.trained = frozenset()
        self.switches = self.graphs = None
        self.objectives_differ = False
        self._within = False  # whether a block is under way that puts everything back

    def ready(self, source):
        """Nothing waits for data here.

        DIFFERS: a Keras model without weights is refused; a lazy module of PyTorch's can be copied.
        """

    @contextmanager
    def kept(self):
        """Put all state back at the end, see `keeping.kept`.

        Inside another such block what the optimizer holds is left to that one's end.
        """
        within, self._within = self._within, True
        try:
            with keeping.kept(self.model, optimizer=not within):
                yield
        finally:
            self._within = within

    def state(self, trained=True):
        """Hash all state, see `keeping.state`."""
        return keeping.state(self.model, trained)

    def batch(self, raw):
        """Unpack what the data gave."""
        return self.objective.batch(raw)

    def join(self, batches, index):
        """Make a batch of some samples of several batches, counted through all of them.

        Raises:
            ValueError: the batches don't have their samples along the first axis of all their tensors.
        """
        leaves = keras.tree.flatten(batches[0].raw)
        sizes = {len(ops.convert_to_numpy(leaf)) for leaf in leaves if leaf is not None}
        if len(batches) == 1 and len(sizes) > 1:
            raise ValueError(
                f"a batch's tensors have {sorted(sizes)} samples each; they must have the same number"
            )

        def joined(*leaves):
            if leaves[0] is None:
                return None
            return np.concatenate([ops.convert_to_numpy(leaf) for leaf in leaves])[index]

        return self.objective.batch(keras.tree.map_structure(joined, *(batch.raw for batch in batches)))

    def replayed(self, source, seed):
        """Iterate with generators seeded for the data alone, whatever a pass draws in between."""
        outside = keeping.random_state()
        keeping.seed_all(seed)
        iterator = None
        while True:
            try:
                iterator = iter(source()) if iterator is None else iterator
                raw = next(iterator)
            except StopIteration:
                return
            finally:
                inside = keeping.random_state()
                keeping.set_random_state(outside)
            yield raw
            outside = keeping.random_state()
            keeping.set_random_state(inside)

    def layers(self, batches=None, more=()):
        """Observe what acts differently, see `acting`; objectives that agree are compared on more batches."""
        with self.kept():
            if batches is None:
                return acting.alone(self.model)
            self.switches = Switches(self.model)
            rows = acting.observe(self.switches, self.objective, batches)
            # a step of the person's calls the model by itself
            self.graphs = None if self.objective.step else Graphs(self.model, self.switches)
        self.objectives_differ = self.objective.separate and any(map(self._differ, (*batches[:1], *more)))
        return rows

    def present(self):
        """The switches that are there, once `layers` has watched batches."""
        found = self.switches.present()
        return found | {"objective"} if self.objectives_differ else found

    def facts(self):
        """What is known beside the layers: of the compilation, the weights, the precision."""
        history = getattr(getattr(self.model, "history", None), "params", None) or {}
        return Facts(
            trains=bool(self.model.trainable_variables),
            batch_size=self.batch_size or history.get("batch_size"),
            accumulation=getattr(getattr(self.model, "optimizer", None), "gradient_accumulation_steps", None),
            initial=tuple(initial(self.model)),
            parameters=len(self.model.trainable_variables),
            notes=tuple(updating.averaged(self.model)),
            precision=self.model.compute_dtype,
            objectives=self.objective.separate,
            # DIFFERS: a step of the model's own; JAX's is a function of all variables, which nobody calls so
            by_hand=self.objective.trains_itself and keras.backend.backend() != "jax",
        )

    def evaluate(self, batches, keep=False, seed=None):
        """Evaluate as `model.evaluate` does; what it changes stays, but what the metrics hold comes back."""
        if seed is not None:
            keeping.seed_all(seed, self.model)
        with self.objective.tallying(), self._passing(batches):
            steps = [self.objective.measure(batch, False, keep) for batch in batches]
            return Pass(steps, self.objective.figures(steps))

    def compiled(self, batches):
        """Evaluate with what XLA makes of the model, where its own evaluation is compiled so; None elsewhere."""
        forward = None if self.objective.tests_itself or self.objective.step else by_xla(self.model)
        if forward is None:
            return None
        keeping.seed_all(0, self.model)
        try:
            with self.objective.tallying(), replaced(self.objective, forward=forward):
                steps = [self.objective.measure(batch, False, True) for batch in batches]
                return Pass(steps, self.objective.figures(steps))
        except Exception:  # what XLA can't compile
            return None

    def run(self, batches, fit, statistics=None, collect=False, seed=0, keep=False):
        """Pass over batches with some switches as in training, see `Switches.standing`; nothing is updated."""
        gathering = Gathering() if collect else None
        steps, training, whole = [], "objective" in fit, collect or keep
        # where the model's own step is traced, what reaches the layers is gathered in a pass of its own
        apart = collect and self.objective.traces(training)
        with self._unmoved(), self.objective.tallying():
            if apart:
                with self.switches.standing(fit, statistics, gathering):
                    for i, batch in enumerate(batches):
                        self.switches.begin(seed, i)
                        self.objective.watched(batch, training)
                        self.switches.put_back()
            with self._passing(batches, fit, statistics, None if apart else gathering) as given:
                for i, batch in enumerate(batches):
                    self.switches.begin(seed, i)
                    for name, pair in given.items():
                        self.switches.put(name, *pair)
                    steps.append(self.objective.measure(batch, training, keep, whole))
                    self.switches.put_back()
            return Pass(steps, self.objective.figures(steps, whole), gathering.seen() if collect else {})

    def reaching(self, batches, name):
        """What reaches a normalisation call in evaluation; each pass ends there."""
        gathering = Until(name)
        with self._unmoved(), self.switches.standing(frozenset(), None, gathering):
            for i, batch in enumerate(batches):
                self.switches.begin(0, i)
                with suppress(Reached), self.objective.tallying():
                    self.objective.watched(batch, False)
        return gathering.seen().get(name)

    def nonfinite(self, batches):
        """Name the first layer whose output isn't finite in evaluation; None where all are."""
        found = []

        def look(site, index, call, args, options):
            outputs = call(*args, **options)
            if not site.children and not found and not all(map(_finite, keras.tree.flatten(outputs))):
                found.append(site.name)
            return outputs

        switches = Switches(self.model)
        with self._unmoved(), self.objective.tallying(), switches.between(look):
            for i, batch in enumerate(batches):
                switches.begin(0, i)
                self.objective.measure(batch, False)
        return found[0] if found else None

    def population(self, batches):
        """Pool what reaches each normalisation call that differs: call -> (mean, variance), and the pass itself.

        Source: Wu and Johnson 2021, https://arxiv.org/abs/2105.07576, section 3
        """
        with self._unmoved(), self.objective.tallying():
            at_once = self.graphs.at_once(self, batches) if self.graphs else None
        if at_once is not None:
            return at_once
        # a step of the model's own counts its metrics while the other passes wait inside theirs
        counted, steps = not self.objective.tests_itself, {}

        def forward(batch, i):
            self.switches.begin(0, i)
            if counted or self.objective.outputs(batch) is None:
                steps[i] = self.objective.measure(batch, False, whole=False)

        standing = self.switches.standing(frozenset(), stop=True)
        with self._unmoved(), self.objective.tallying(), forgetting(self.model), standing:
            forwards = [partial(forward, batch, i) for i, batch in enumerate(batches)]
            pooled = lockstep.run(forwards, self.switches.put, keeping.attributes(self.model))
            steps = [steps[i] for i in sorted(steps)]
            return pooled, Pass(steps, self.objective.figures(steps, False)) if counted else None

    def scaled(self, batch, change):
        """The same batch with its float inputs changed, images as ``(N, H, W, C)``, others as they are."""

        def changed(leaf):
            array = ops.convert_to_numpy(leaf)
            if array.dtype.kind != "f" and not (array.dtype == np.uint8 and array.ndim == 4):
                return leaf
            return _first(
                np.asarray(change(_last(array)), array.dtype if array.dtype.kind == "f" else "float32")
            )

        inputs = keras.tree.map_structure(changed, batch.inputs)
        raw = keras.utils.pack_x_y_sample_weight(inputs, batch.targets, batch.weights)
        if self.objective.step is not None:
            of_parts = isinstance(batch.raw, list | tuple) and len(batch.raw) <= 3
            raw = {**batch.raw, **inputs} if isinstance(batch.raw, dict) else inputs
            raw = type(batch.raw)([inputs, *batch.raw[1:]]) if of_parts else raw
        return Batch(raw, inputs, batch.targets, batch.weights, batch.size)

    def arrays(self, batch):
        """Inputs and targets as arrays with samples first, images channels last."""
        parts = {"x": batch.inputs, "y": batch.targets, "weights": batch.weights}
        found = {}
        for name, part in parts.items():
            for path, leaf in keras.tree.flatten_with_path(part):
                if leaf is not None:
                    array = ops.convert_to_numpy(leaf)
                    found[".".join([name, *map(str, path)])] = _last(array) if name == "x" else array
        return found

    def _differ(self, batch):
        """Whether training's objective gives another loss than evaluation's, all else as in evaluation."""
        asked = [self.run([batch], on).figures["loss"] for on in (frozenset(), frozenset({"objective"}))]
        return bool(asked[0] != asked[1])

    @contextmanager
    def _passing(self, batches, fit=None, statistics=None, gathering=None):
        """Have batches pass as the switches stand, in a graph where that is quicker; None for an evaluation.

        Yields the statistics that are to be put in place before each batch.
        """
        own = statistics is None or "normalisation" not in fit
        forward = self.graphs.forward(batches, fit or frozenset(), gathering) if self.graphs and own else None
        if forward is not None:
            with replaced(self.objective, forward=forward):
                yield statistics or {}
        elif fit is None:
            yield {}
        else:
            with self.switches.standing(fit, statistics, gathering):
                yield {}

    @contextmanager
    def _unmoved(self):
        """Put back what a pass changes by itself, and all random generators."""
        drawn = keeping.random_state(self.model)
        try:
            yield
        finally:
            if self.switches is not None:
                self.switches.put_back()
            keeping.set_random_state(drawn)


def _finite(tensor):
    array = ops.convert_to_numpy(tensor)
    return array.dtype.kind not in "fV" or bool(np.isfinite(array.astype(np.float32)).all())


def _last(array):
    """Images with their channels last."""
    first = keras.config.image_data_format() == "channels_first"
    return np.moveaxis(array, 1, -1) if first and array.ndim == 4 else array


def _first(array):
    first = keras.config.image_data_format() == "channels_first"
    return np.moveaxis(array, -1, 1) if first and array.ndim == 4 else array
