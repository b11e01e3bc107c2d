"""What a batch comes to: the loss and the metrics of a person's model, whatever it is compiled with.

Its own `compute_loss`, `train_step` and `test_step` are respected; a ``step(model, batch)`` of the person's comes
before all of them.
"""

import inspect
from contextlib import nullcontext, suppress
from dataclasses import replace

import keras
import numpy as np
from keras import ops

from . import counting, own_steps
from .evidence import Batch, Step
from .keeping import value

_LESSER = ("float16", "bfloat16")
_TARGETS = ("labels", "label", "targets", "target", "y")
# steps of a person's own that are made to see which variables they update: a second network's turn may come late
_STEPS = 6


class Objective:
    """Computes a batch's loss, in training and in evaluation.

    DIFFERS: a compiled Keras model knows its loss and its metrics; a PyTorch module is told them.

    Args:
        model: a compiled model, or any with a ``loss`` or a ``step``.
        loss: ``loss(outputs, targets)``, instead of what the model is compiled with.
        step: ``step(model, batch)``, returns a loss or a dictionary of ``loss``, ``n``, ``outputs``, ``targets``;
            layers that it calls without saying ``training=`` are called as in `fit` or as in `evaluate`.
        metrics: name -> callable(outputs, targets), beside those that the model is compiled with.

    Attributes:
        separate: whether training and evaluation have an objective each, which may differ.
        inside: whether a step of its own was seen to call the model on anything but the batch's inputs, or not at all.

    Raises:
        ValueError: the model can't say what its loss is, and none is given.
    """

    def __init__(self, model, loss=None, step=None, metrics=None):
        self.model, self.loss, self.step, self.metrics = model, loss, step, dict(metrics or {})
        if not (model.compiled or loss or step):
            raise ValueError(
                "the model isn't compiled: give loss, or FILE.py:NAME, which returns it compiled"
            )
        alone = loss is None and step is None
        self.trains_itself = alone and own_steps.overridden(model, "train_step")
        self.tests_itself = alone and own_steps.overridden(model, "test_step")
        if alone:
            own_steps.refuse_without_evaluation(model)
        self.separate = alone and (
            self.trains_itself or self.tests_itself or own_steps.overridden(model, "compute_loss")
        )
        self.compiled = alone and model.compiled
        self._updated = set()
        self.inside = False

    def batch(self, raw):
        """Unpack what the data gave, as `fit` does."""
        if self.step is not None:
            return Batch(raw, *_parts(raw), _size(raw))
        raw = tuple(raw) if isinstance(raw, list) and 1 <= len(raw) <= 3 else raw
        if self.trains_itself and isinstance(raw, list | tuple) and len(raw) > 3:
            inputs = tuple(map(_standard, raw))  # only the model's own steps know what they are
            return Batch(tuple(raw), inputs, None, None, _size(inputs))
        inputs, targets, weights = map(_standard, keras.utils.unpack_x_y_sample_weight(raw))
        return Batch(raw, inputs, targets, weights, _size(inputs))

    def measure(self, batch, training, keep=False, whole=True):
        """Compute what a batch comes to.

        Args:
            batch: a `Batch`.
            training: whether as in `fit`, without its update, or as in `evaluate`.
            keep: whether the `Step` holds outputs and targets.
            whole: whether metrics and other losses are wanted, too; the loss alone is quicker.
        """
        if self.step is not None:
            with own_steps.in_training(self.model) if training else nullcontext():
                return self._stepped(batch, keep)
        tensors = [_tensors(part) for part in (batch.inputs, batch.targets, batch.weights)]
        if self.trains_itself if training else self.tests_itself:
            return self._by_itself(batch, tensors, training, keep)
        outputs = self.forward(tensors[0], training)
        if not whole:
            with counting.uncounted(self.model):
                loss = self._loss(*tensors[:2], outputs, tensors[2], training)
            return Step(loss, batch.size, batch.size, self.penalty())
        loss, metrics = self._counted(*tensors, outputs, training)
        step = Step(
            loss, batch.size, batch.size, self.penalty(), metrics | self._own_metrics(outputs, tensors[1])
        )
        with counting.uncounted(self.model):
            return self._finished(step, tensors, outputs, training, keep)

    def traces(self, training):
        """Whether the model's own step is traced, so that no values pass its layers: on JAX."""
        return keras.backend.backend() == "jax" and (self.trains_itself if training else self.tests_itself)

    def watched(self, batch, training):
        """Pass a batch so that values pass every layer, whatever the loss comes to."""
        if self.traces(training):
            self._called(_tensors(batch.inputs), _tensors(batch.raw), training)
        else:
            self.measure(batch, training)

    def trainable(self, batches):
        """The variables that training changes, by their id: where it has a step of its own those that this updates.

        A step may update some variables now and others a step later, so that several are made, and put back.
        """
        wanted = {id(v): v for v in self.model.trainable_variables}
        before = {key: value(v) for key, v in wanted.items()} if self.trains_itself else {}
        for i in range(_STEPS if before else 0):
            if wanted.keys() <= self._updated:
                break
            self.measure(batches[i % len(batches)], True)
        for key, values in before.items():
            if value(wanted[key]).tobytes() != values.tobytes():
                self._updated.add(key)  # by the step's own hand
                wanted[key].assign(values)
        return self._updated & wanted.keys() or set(wanted)

    def outputs(self, batch):
        """What the model makes of a batch in evaluation; None where only a step of its own knows how to call it."""
        return None if self.step is not None or self.inside else self.forward(_tensors(batch.inputs), False)

    def penalty(self):
        """Compute the part of the loss that depends on the weights alone."""
        if not self.compiled:
            return 0.0
        weights = self.model.trainable_weights
        return float(sum(counting.number(w.regularizer(w)) for w in weights if w.regularizer is not None))

    def tallying(self):
        """Count a pass of batches with the model's own metrics, see `counting.tallying`."""
        return counting.tallying(self.model)

    def figures(self, steps, whole=True):
        """Average a pass as Keras does, inside `tallying`; the loss alone where the rest was not wanted."""
        size = sum(step.weight for step in steps) or 1
        names = list(dict.fromkeys(name for step in steps for name in step.metrics))
        found = {
            name: sum(step.metrics.get(name, 0.0) * step.weight for step in steps) / size for name in names
        }
        if self.compiled and whole:
            found |= counting.figures(self.model, steps)
        return {**found, "loss": sum(step.loss * step.weight for step in steps) / size}

    def forward(self, inputs, training):
        """What the model makes of tensors."""
        if self.model._call_has_training_arg:
            return self.model(inputs, training=training)
        return self.model(inputs)

    def _called(self, inputs, raw, training):
        """What the model makes of the inputs of a batch that only its own step knows, or of all of it."""
        try:
            return self.forward(inputs, training)
        except Exception:  # the step hands something else on
            return self.forward(raw, training)

    def _loss(self, inputs, targets, outputs, weights, training):
        if self.loss is not None:
            return counting.number(self.loss(outputs, targets))
        if targets is None and self.compiled and not self.separate and self.model._compile_loss is not None:
            raise ValueError("the data hold no targets, and the model's loss needs them: give (x, y)")
        takes_mode = "training" in inspect.signature(self.model.compute_loss).parameters
        options = {"training": training} if takes_mode else {}
        return counting.number(self.model.compute_loss(inputs, targets, outputs, weights, **options))

    def _counted(self, inputs, targets, weights, outputs, training):
        """Compute the loss of this batch alone, and have the metrics count the batch with those before."""
        if not self.compiled:
            return self._loss(inputs, targets, outputs, weights, training), {}
        model = self.model
        with counting.apart(model):
            loss = self._loss(inputs, targets, outputs, weights, training)
            parts = {m.name: counting.number(m.result()) for m in getattr(model._compile_loss, "metrics", ())}
        said = counting.flat(model.compute_metrics(inputs, targets, outputs, weights))
        known = counting.results(model)
        others = {name: counting.number(figure) for name, figure in said.items() if name not in known}
        return loss, {**parts, **{name: figure for name, figure in others.items() if name != "loss"}}

    def _own_metrics(self, outputs, targets):
        if outputs is None or targets is None:
            return {}
        outputs, targets = _arrays(outputs), _arrays(targets)
        return {name: counting.number(metric(outputs, targets)) for name, metric in self.metrics.items()}

    def _finished(self, step, tensors, outputs, training, keep):
        """Add what else the loss would be: of other targets, without weights, in float32."""
        inputs, targets, weights = tensors
        shuffled = constant = unweighted = full = None
        if targets is not None:
            rolled = keras.tree.map_structure(lambda t: ops.roll(t, 1, axis=0), targets)
            shuffled = self._loss(inputs, rolled, outputs, weights, training) - step.penalty
            means = keras.tree.map_structure(lambda t: ops.zeros_like(t) + ops.mean(t, 0, True), outputs)
            constant = self._loss(inputs, targets, means, weights, training) - step.penalty
        if weights is not None:
            unweighted = self._loss(inputs, targets, outputs, None, training)
        if any(_dtype(leaf) in _LESSER for leaf in keras.tree.flatten(outputs)):
            wide = keras.tree.map_structure(lambda t: ops.cast(t, "float32"), outputs)
            full = self._loss(inputs, targets, wide, weights, training) - step.penalty
        outputs, targets = (_arrays(outputs), _arrays(targets)) if keep else (None, None)
        others = {"shuffled": shuffled, "constant": constant, "loss_in_float32": full}
        return replace(step, **others, unweighted=unweighted, outputs=outputs, targets=targets)

    def _stepped(self, batch, keep):
        said = self.step(self.model, keras.tree.map_structure(_tensor, batch.raw))
        if said is None:
            raise ValueError("step returned None; it must return a loss, or a dictionary with one")
        said = said if isinstance(said, dict) else {"loss": said}
        if "loss" not in said:
            raise ValueError(f"step returned {sorted(said)}; it must return a loss, or a dictionary with one")
        size = int(said.get("n", batch.size))
        outputs, targets = said.get("outputs"), said.get("targets")
        kept = (_arrays(outputs), _arrays(targets)) if keep else (None, None)
        metrics = self._own_metrics(outputs, targets)
        return Step(counting.number(said["loss"]), size, size, 0.0, metrics, outputs=kept[0], targets=kept[1])

    def _by_itself(self, batch, tensors, training, keep):
        """Call the model's own step, whose optimizers do nothing, on metrics that count from nothing."""
        data, listen = own_steps.handed_on(batch.raw, tensors), training or keep
        with counting.apart(self.model):
            said, outputs, alike = own_steps.taken(self.model, data, training, self._updated, listen)
            self.inside |= listen and not alike and not self.traces(training)
            if keep and outputs is None:
                with suppress(Exception):  # then the outputs stay the step's own business
                    outputs = self._called(tensors[0], data, training)
            said = {name: counting.number(figure) for name, figure in counting.flat(said).items()}
        loss = said.pop("loss", None)
        if loss is None:
            loss = next((figure for name, figure in said.items() if "loss" in name), float("nan"))
        kept = (_arrays(outputs), _arrays(tensors[1])) if keep and outputs is not None else (None, None)
        metrics = said | self._own_metrics(outputs, tensors[1])
        return Step(loss, batch.size, batch.size, self.penalty(), metrics, outputs=kept[0], targets=kept[1])


def _parts(raw):
    """Inputs, targets and weights of a batch that a person's step unpacks, as far as its form says which they are."""
    if isinstance(raw, list | tuple) and 1 <= len(raw) <= 3:
        return (*raw, None, None)[:3]
    if isinstance(raw, dict):
        named = next((name for name in _TARGETS if name in raw), None)
        return {name: part for name, part in raw.items() if name != named}, raw.get(named), None
    return raw, None, None


def _standard(part):
    """Convert arrays as `fit` does: double precision becomes Keras's own, everything else stays."""

    def convert(leaf):
        if isinstance(leaf, np.ndarray | float | int | bool | np.generic):
            array = np.asarray(leaf)
            return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array
        return leaf

    return None if part is None else keras.tree.map_structure(convert, part)


def _tensors(part):
    return None if part is None else keras.tree.map_structure(_tensor, part)


def _tensor(leaf):
    return ops.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _arrays(part):
    def array(leaf):
        found = ops.convert_to_numpy(leaf)
        return found.astype(np.float32) if found.dtype.name in _LESSER else found

    return None if part is None else keras.tree.map_structure(array, part)


def _dtype(leaf):
    return keras.backend.standardize_dtype(leaf.dtype)


def _size(part):
    leaves = [leaf for leaf in keras.tree.flatten(part) if len(getattr(leaf, "shape", ()))]
    return int(leaves[0].shape[0]) if leaves else 0
