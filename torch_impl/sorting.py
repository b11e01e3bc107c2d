"""Sort the modules whose mode matters from those where it doesn't: what does a pass make with their own mode alone?"""

import math
from collections.abc import Mapping

import torch

from . import nested


def _by_step(switches, plain, now):
    """Whether the step reads the outermost module's mode: that isn't called at all, or makes the same of the data."""
    return "" not in switches.fit.reached or now[1] == plain[1]


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
