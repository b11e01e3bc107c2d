"""One person's PyTorch model, and everything that the diagnosis can ask of it."""

import math
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from . import acting, keeping, lockstep, logged, modes, nested, sorting, traces, waiting
from .asking import trainable_of
from .evidence import Facts, Pass
from .gathering import Gathering, Reached, Until
from .initial import initial
from .objectives import Objective, module_of
from .switches import Switches


def is_model(thing):
    """Whether this is something that `Subject` takes: a module, or a trainer that has one."""
    if isinstance(thing, torch.nn.Module):
        return True
    return any(
        isinstance(getattr(thing, name, None), torch.nn.Module) for name in ("lightning_module", "model")
    )


class Subject:
    """A person's model under measurement.

    Args:
        model: an ``nn.Module``, a LightningModule, a trainer of Lightning or Hugging Face.
        loss, step, metrics: see `objectives.Objective`.
        batch_size: of `fit`, for the record.
        limit: samples that may pass side by side.

    Raises:
        ValueError: the model isn't one, is on several devices, or has no loss.
    """

    def __init__(self, model, *, loss=None, step=None, metrics=None, batch_size=None, limit=320):
        self.waits = waiting.waits(module_of(model))
        # a lazy layer that has got its shapes never waits again: a copy gets them
        model = waiting.copied(module_of(model)) if self.waits else model
        self.model, self.limit = model, limit
        self.module = module_of(model)
        self.objective = Objective(self.model, loss, step, metrics)
        self.name = type(self.module).__name__
        self.batch_size = batch_size
        # DIFFERS: path of a module -> its mode inside the person's own step, where that was seen
        self.modes = {}
        # names of the parameters that training's optimizers hold; empty where nobody saw those
        self.trained = frozenset()
        self.switches, self.moving, self.objectives_differ = None, set(), False
        self.changes = set()  # what a pass changes beside buffers: ``weights``, ``attributes``
        self._within = False  # whether a block is under way that puts everything back

    def optimizers(self):
        """The optimizers that a trainer holds."""
        # DIFFERS: a LightningModule after its training still knows the trainer, a Keras model holds its optimizer
        model = getattr(self.module, "_trainer", None) or self.model
        found = getattr(model, "optimizers", None) or [getattr(model, "optimizer", None)]
        found = found if isinstance(found, list) else []
        return [one for one in found if isinstance(one, torch.optim.Optimizer)]

    def _trainable(self):
        """The parameters that training changes, by what its optimizers hold."""
        held = {id(p) for one in self.optimizers() for group in one.param_groups for p in group["params"]}
        names = {name for name, p in self.module.named_parameters() if id(p) in held}
        return trainable_of(self.module, names | self.trained or None)

    def ready(self, source):
        """Give lazy layers their shapes by the first batch, on the copy that stands for the person's model."""
        if self.waits:
            waiting.shape(self, source)

    @contextmanager
    def kept(self):
        """Put all state back at the end, see `keeping.kept`.

        Inside another such block weights only where a pass was seen to change them: a copy takes as long as a pass.
        """
        within, self._within = self._within, True
        weights = not within or self.switches is None or "weights" in self.changes
        try:
            # what was compiled runs as it was written: only that can be watched
            with keeping.kept(self.module, weights), torch.compiler.set_stance("force_eager"):
                yield
        finally:
            self._within = within

    def state(self, trained=True):
        """Hash all state, see `keeping.state`."""
        return keeping.state(self.module, trained, self.optimizers())

    def batch(self, raw):
        """Unpack what the data gave, on the model's device."""
        return self.objective.batch(raw)

    def join(self, batches, index):
        """Make a batch of some samples of several batches, counted through all of them.

        Raises:
            ValueError: the batches don't have their samples along the first axis of all their tensors.
        """
        starts = np.cumsum([0] + [batch.size for batch in batches])
        at = np.searchsorted(starts, index, side="right") - 1
        raw = nested.taken(
            [batch.raw for batch in batches], list(zip(at, np.asarray(index) - starts[at], strict=True))
        )
        return self.objective.batch(raw)

    def replayed(self, source, seed):
        """Iterate with generators seeded for the data alone, whatever a pass draws in between."""
        outside = keeping.random_state()
        keeping.seed_all(seed)
        data = source()
        with keeping.loader_kept(data, seed):
            iterator = None
            while True:
                try:
                    iterator = iter(data) if iterator is None else iterator
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
        if batches is None:
            if self.waits:
                raise ValueError("model has lazy layers that have seen no data yet: call it once on a batch")
            return acting.alone(self.module)
        self.switches = switches = Switches(self.module, self._trainable())
        switches.fit_modes |= {path: mode for path, mode in self.modes.items() if path in switches.fit_modes}
        fit, moved_in_fit = traces.follow(self, batches, training=True)
        evaluate, moved_in_evaluation = traces.follow(self, batches, training=False)
        switches = self.switches
        switches.trace(fit, evaluate)
        self.moving = moved_in_fit | moved_in_evaluation
        others = sorting.others(self, batches[0])
        sorting.objective(self, more)
        return acting.observe(switches, moved_in_fit, moved_in_evaluation, others)

    def facts(self):
        """What is known beside the layers: of the trainer, the weights, the precision."""
        arguments = getattr(self.model, "args", None)
        accumulation = getattr(arguments, "gradient_accumulation_steps", None)
        trainer = self.model if hasattr(self.model, "accumulate_grad_batches") else None
        if trainer is None and self.objective.lightning:
            trainer = getattr(self.module, "_trainer", None)
        parameters = dict(self.module.named_parameters())
        return Facts(
            trains=any(p.requires_grad for p in parameters.values()),
            accumulation=accumulation or getattr(trainer, "accumulate_grad_batches", None),
            batch_size=self.batch_size,
            initial=() if waiting.waits(self.module) else tuple(initial(self.module)),
            parameters=len(parameters),
            precision=str(next(iter(parameters.values())).dtype).removeprefix("torch.")
            if parameters
            else "float32",
            objectives=self.objective.separate,
            evaluates=not self.objective.lightning or logged.evaluates(self.module),
        )

    def present(self):
        """The switches that are there, once `layers` has watched batches."""
        found = self.switches.present()
        return found | {"objective"} if self.objectives_differ else found

    @torch.no_grad()
    def evaluate(self, batches, keep=False, seed=None):
        """Evaluate as in a person's own loop: all modules as ``eval()`` leaves them; the state goes on."""
        if self.switches is None:
            self.switches = Switches(self.module)
        if seed is not None:
            keeping.seed_all(seed)
        self.switches.set_modes(self.switches.evaluate_modes)
        with self._outputs(keep) as made:
            steps = []
            for i, batch in enumerate(batches):
                made.clear()
                step = self.objective.measure(batch, False, keep, i)
                if keep and step.outputs is None and made:
                    step = replace(step, outputs=[tensor.float().cpu().numpy() for tensor in made.values()])
                steps.append(step)
        return Pass(steps, _figures(steps))

    def compiled(self, batches):
        """Nothing is evaluated by a compiler here.

        DIFFERS: evaluate runs what Keras has compiled; in PyTorch a person calls what `torch.compile` returned.
        """

    @contextmanager
    def _outputs(self, wanted):
        """Take what the module returns, or the last of its children where only they are called."""
        made, handles = {}, []

        def take(name, module, args, output):
            if name != "child" or "root" not in made:
                found = next(
                    (t.detach() for _, t in nested.leaves("", output) if t.is_floating_point()), None
                )
                if found is not None:
                    made.pop("child", None)
                    made[name] = found

        if wanted and (self.objective.step is not None or self.objective.lightning):
            handles = [
                child.register_forward_hook(partial(take, "child")) for child in self.module.children()
            ]
            handles.append(self.module.register_forward_hook(partial(take, "root")))
        try:
            yield made
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def run(self, batches, fit, statistics=None, collect=False, seed=0, keep=False):
        """Pass over batches with some switches as in training, see `Switches.standing`; nothing is updated."""
        gathering = Gathering() if collect else None
        steps = []
        # what it remembers from batch to batch goes on in the pass, and is as it was before the next one
        with keeping.kept(self.module, "weights" in self.changes) if self.changes else nullcontext():
            for i, batch in enumerate(batches):
                with self._unmoved():
                    keeping.seed_all((seed * 1_000_003 + i) % 2**32)
                    with self.switches.standing(fit, statistics, gathering, seed=(seed, i)):
                        steps.append(self.objective.measure(batch, "objective" in fit, keep, i))
        return Pass(steps, _figures(steps), gathering.seen() if collect else {})

    @torch.no_grad()
    def reaching(self, batches, name):
        """What reaches a normalisation call in evaluation; each pass ends there."""
        gathering = Until(name)
        for i, batch in enumerate(batches):
            with (
                self._unmoved(),
                self.switches.standing(frozenset(), None, gathering, seed=(0, i)),
                suppress(Reached),
            ):
                self.objective.measure(batch, False)
        return gathering.seen().get(name)

    def nonfinite(self, batches):
        """Name the first module whose output isn't finite in evaluation; None where all are."""
        found = []
        handles = [
            module.register_forward_hook(partial(_look, found, path))
            for path, module in self.module.named_modules()
            if not list(module.children())
        ]
        try:
            self.evaluate(batches)
        finally:
            for handle in handles:
                handle.remove()
        return found[0] if found else None

    def population(self, batches):
        """Pool what reaches each normalisation call that differs: call -> (mean, variance), and the pass itself.

        Source: Wu and Johnson 2021, https://arxiv.org/abs/2105.07576, section 3
        """
        autocast, pool, steps = modes.autocast(), {}, [None] * len(batches)

        def forward(one, batch, i):
            with torch.no_grad(), autocast(), one():
                steps[i] = self.objective.measure(batch, False)

        def put(name, mean, variance):
            pool[name] = (mean, variance)

        with self._unmoved(), self.objective.logging(), self.switches.side_by_side(pool) as one:
            forwards = [partial(forward, one, batch, i) for i, batch in enumerate(batches)]
            pooled = lockstep.run(forwards, put, keeping.attributes(self.module))
        return pooled, Pass(steps, _figures(steps))

    def scaled(self, batch, change):
        """The same batch with its float inputs changed, images as ``(N, H, W, C)``, others as they are."""
        changed = partial(nested.changed, change=change)
        raw = batch.raw
        if isinstance(raw, list | tuple):
            # the first part that holds such inputs: whole numbers may stand before it
            at = next((i for i, part in enumerate(raw) if nested.floats(part)), 0)
            raw = type(raw)([*raw[:at], nested.mapped(raw[at], changed), *raw[at + 1 :]])
        elif isinstance(raw, torch.Tensor):
            raw = changed(raw)
        else:
            raw = nested.with_inputs(raw, changed)
        return self.objective.batch(raw)

    def arrays(self, batch):
        """Inputs and targets as arrays with samples first, images channels last."""
        found = {}
        for name, value in (("x", batch.inputs), ("y", batch.targets), ("weights", batch.weights)):
            for key, tensor in nested.leaves(name, value):
                array = tensor.detach().cpu()
                array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
                found[key] = np.moveaxis(array, 1, -1) if name == "x" and array.ndim == 4 else array
        if nested.listed(batch.raw):
            return {"raw": nested.summed(batch.raw)}
        if not found:
            for key, tensor in nested.leaves("raw", batch.raw):
                found[key] = tensor.detach().cpu().float().numpy()
        return found

    def _unmoved(self):
        """Put back the buffers that were seen to move."""
        return keeping.buffers_kept(self.switches.modules, self.moving)


def _figures(steps):
    """Loss and metrics over all samples: each batch's mean, weighted by its samples."""
    weight = sum(step.weight for step in steps)
    names = {name for step in steps for name in step.metrics}
    figures = {"loss": sum(step.loss * step.weight for step in steps) / weight if weight else math.nan}
    for name in sorted(names):
        having = [step for step in steps if name in step.metrics]
        figures[name] = sum(s.metrics[name] * s.weight for s in having) / sum(s.weight for s in having)
    return figures


def _look(found, path, module, args, output):
    if any(t.is_floating_point() and not torch.isfinite(t).all() for _, t in nested.leaves("", output)):
        found.append(path)
