"""Whether batches are well mixed: their samples are dealt to other batches, and the passes compared."""

from __future__ import annotations

import numpy as np

from compare.diagnosis.dealing import dealt_anew, spread
from compare.diagnosis.measured import Measured
from compare.diagnosis.ordering import MILDLY, UNMIXED, unlike
from compare.diagnosis.passes import Passes
from compare.diagnosis.side import Batch, Pass, Subject

# of the loss: what dealing the samples anew changes where no second dealing is asked for
HARDLY = 0.02
# orders that are tried where a figure hangs on their spread
ORDERS = 5


def mix(subject: Subject, data: Passes, some: list[Batch], done: Measured) -> None:
    """Deal the samples to batches of the same size anew, as in training."""
    every = done.switches
    at, part = spread(some)
    whole = sum(batch.size for batch in some) == data.look.size
    if whole and done.fit is not None:  # nothing is updated in a pass, so that a batch's loss is its own
        steps = [done.fit.steps[i] for i in at]
        before = sum(s.loss * s.weight for s in steps) / (sum(s.weight for s in steps) or 1)
    else:
        before = subject.run(part, every).figures["loss"]

    dealt: list[float] = []
    for seed in (1, 2):
        now = _dealt(subject, part, done, seed)
        if now is None:
            return
        dealt.append(now.figures["loss"])
        done.remixed = done.remixed or now.seen
        # what one dealing hardly changes, another doesn't either
        if abs(dealt[-1] - before) < HARDLY * abs(before):
            break
    done.mixed, done.orders = (before, float(np.mean(dealt))), dealt


def deal_again(subject: Subject, some: list[Batch], done: Measured) -> None:
    """Try more orders of the samples, where the few that were tried say too little of how far orders lie apart."""
    _, part = spread([batch for batch in some if batch.size > 1] or some)
    for seed in range(len(done.orders) + 1, ORDERS + 1):
        now = _dealt(subject, part, done, seed)
        if now is None:
            return
        done.orders.append(now.figures["loss"])


def _dealt(subject: Subject, part: list[Batch], done: Measured, seed: int) -> Pass | None:
    """A pass as in training of batches whose samples are dealt anew; None where the model doesn't allow that."""
    return done.dealing(
        lambda: subject.run(
            dealt_anew(subject, part, seed), done.switches, collect=not done.remixed, seed=seed
        )
    )


def unmixed(measured: Measured) -> list[str]:
    """Calls whose batches are unlike one another by far more than batches dealt at random.

    By less than far where dealing the samples anew undoes most of what the batches' own statistics gain, or cost.
    """
    samples = 0 if measured.fit is None else sum(step.size for step in measured.fit.steps)
    found = unlike(measured.seen, UNMIXED, measured.remixed, samples)
    if found or measured.mixed is None or measured.population is None:
        return found
    every, before = measured.switches, measured.mixed[0]
    pooled = measured.standing[every - {"normalisation"}].figures["loss"]
    gain = pooled - measured.standing[every].figures["loss"]
    matters = abs(gain) > 0 and (measured.mixed[1] - before) / gain > 0.5
    return unlike(measured.seen, MILDLY, measured.remixed, samples) if matters else []
