"""Write down what passes in both modes do, and sort the modules whose mode matters from those where it doesn't."""

import math
from collections.abc import Mapping
from contextlib import contextmanager

import torch

from . import keeping, nested


def trace(subject, batches, training):
    """Trace a pass of a subject's model in training or in evaluation; the trace, and the names of what moved."""
    before, first = _Before(subject.module), None
    with keeping.buffers_kept(subject.switches.modules):
        for i, batch in enumerate(batches):
            with torch.no_grad(), subject.switches.tracing(training) as now, _of_mode(training):
                subject.objective.measure(batch, training, index=i)
            first = now if first is None else first
        moved = before.moved()
    subject.changes |= before.others()
    return first, moved


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


def _by_step(switches, plain, now):
    """Whether the step reads the outermost module's mode: that isn't called at all, or makes the same of the data."""
    return "" not in switches.fit.reached or now[1] == plain[1]


@contextmanager
def _of_mode(training):
    """Tell of an error in evaluation that training had none: a model may return something else there."""
    try:
        yield
    except Exception as error:
        if not training:
            error.add_note("in evaluation mode; in training mode the same batch passes")
        raise


def others(subject, batch):
    """Find the modules that do something else when only their own mode is training's; quiet the rest.

    A step that reads the mode of the outermost module, or has a loss of training's own, is ``objective``.
    """
    switches, found = subject.switches, []
    plain = _sample(subject, batch, frozenset())
    if subject.objective.reads and switches.groups.get("") == "inert":
        switches.groups[""] = "other"  # a step reads this mode, whatever the module does with it
    before = {path: group for path, group in switches.groups.items() if switches.may_be_other(path)}
    if _sample(subject, batch, frozenset(before.values())) == plain:
        switches.groups |= dict.fromkeys(before, "inert")
        before = {}
    sorted_out = dict(before)
    for path, group in before.items():
        switches.groups |= dict.fromkeys(before, "inert") | {path: group}
        now = _sample(subject, batch, frozenset({group}))
        if now == plain:
            sorted_out[path] = "inert"
        elif group == "other" and path == "" and subject.objective.reads and _by_step(switches, plain, now):
            sorted_out[path] = "objective"
        elif group == "other":
            found.append(path)
    switches.groups |= sorted_out
    if subject.objective.reads and _sample(subject, batch, frozenset({"objective"})) != plain:
        subject.objectives_differ = True
    return found


def objective(subject, batches):
    """Compare training's objective with evaluation's on more batches, such as of a class that the first had none of."""
    groups = subject.switches.groups
    if not subject.objective.reads or "objective" in subject.present():
        return
    root = groups.get("")
    if root == "inert":
        groups[""] = "objective"
    for batch in batches:
        losses = [subject.run([batch], frozenset(fit)).steps[0].loss for fit in ((), ("objective",))]
        if len(set(map(str, losses))) == 1:  # text, for a loss that is no number equals itself
            continue
        plain, now = (_sample(subject, batch, frozenset(fit)) for fit in ((), ("objective",)))
        if now[1] == plain[1]:
            subject.objectives_differ = True
            return
    if root == "inert":
        groups[""] = root


def _without_loss(output):
    """What a model makes of a batch beside a loss that it computes itself, as those of Hugging Face do."""
    own = isinstance(output, Mapping) and output.get("loss") is not None
    return {name: value for name, value in output.items() if name != "loss"} if own else output


@torch.no_grad()
def _sample(subject, batch, fit):
    """The loss of a batch, and what each module made of it, as numbers that can be compared."""
    made = []
    handles = [
        module.register_forward_hook(
            lambda module, args, output: made.extend(nested.sums(_without_loss(output)))
        )
        for module in subject.module.modules()
    ]
    try:
        step = subject.run([batch], fit).steps[0]
    finally:
        for handle in handles:
            handle.remove()
    return step.loss if math.isfinite(step.loss) else str(step.loss), made
