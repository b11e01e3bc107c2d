"""All measurements of a diagnosis, in order: what the layers do, the probes, the passes. No conclusion is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from compare.diagnosis import ordering
from compare.diagnosis.data import Passes
from compare.diagnosis.dealing import dealt_anew, spread
from compare.diagnosis.ordering import MILDLY, UNMIXED, unlike
from compare.diagnosis.probes import Probed, alike, probe
from compare.diagnosis.side import Batch, Facts, Layer, Pass, Seen, Statistics, Subject
from compare.spec import InputError

# of the loss: what dealing the samples anew changes where no second dealing is asked for
HARDLY = 0.02
# of the outputs' own size: what a compiler may change by computing in another order
COMPILED = 0.01
# of a variance: what another switch must change of what reaches a normalisation for its statistics to be others
SHIFTED = 0.01
# orders that are tried where a figure hangs on their spread
ORDERS = 5
# samples of the probes, and of each batch that layers are watched with: enough to see a difference, few enough to be
# quick
PROBED, WATCHED = 32, 16
ALONE = frozenset({"normalisation"})


@dataclass
class Measured:
    """All that was measured.

    Attributes:
        layers, facts: what the layers do, what the framework knows.
        probed: what the probes showed.
        switches: those that are there, without ``normalisation``'s positions.
        evaluate: an evaluation of fit's data; elsewhere: of ``evaluate_data``, None without.
        sample: an evaluation of some of fit's data with its outputs, where there are too many to keep them all.
        fit: a pass as in training, nothing updated.
        standing: set of switches as in training, normalisation else with the population's -> pass.
        orders: losses of passes as in training, of other orders of the samples.
        population, averaged: what normalisation calls get, by call: the population's, the mean of the batches'.
        under_averages: a pass with the latter by layer; by_call: by call, where a layer is called more than once.
        unshifted: the same of batches' statistics that were taken with all other switches off, where those switches
            change what reaches normalisation and that matters.
        mixed: losses of fit's batches and of batches of the same size dealt anew, both as in training.
        remixed: what reached the normalisation calls in the latter.
        restacked: an evaluation of batches dealt anew.
        uncompiled: an evaluation of the same without the compiler, where what that makes of it differs by much.
        nonfinite: first layer whose output isn't finite.
        dropped: batches of one sample that no training takes.
        skipped: why something couldn't be measured, a sentence each.
    """

    layers: list[Layer]
    facts: Facts
    probed: Probed
    switches: frozenset[str]
    evaluate: Pass
    elsewhere: Pass | None = None
    sample: Pass | None = None
    fit: Pass | None = None
    standing: dict[frozenset[str], Pass] = field(default_factory=dict)
    orders: list[float] = field(default_factory=list)
    population: Statistics | None = None
    averaged: Statistics | None = None
    under_averages: Pass | None = None
    by_call: Pass | None = None
    unshifted: Pass | None = None
    mixed: tuple[float, float] | None = None
    remixed: dict[str, Seen] = field(default_factory=dict)
    restacked: float | None = None
    uncompiled: Pass | None = None
    nonfinite: str | None = None
    dropped: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def seen(self) -> dict[str, Seen]:
        """What reached the normalisation calls in the pass as in training."""
        return {} if self.fit is None else self.fit.seen


def measure(
    subject: Subject, fit: Passes, elsewhere: Passes | None, limit: int, said: float | None, seed: int = 0
) -> Measured:
    """Measure everything, in the order of the module's text; the caller keeps the state.

    ``said`` is the loss that training reported, None where nobody did: with it other orders of the samples are of
    interest, where that of `fit` isn't known; ``seed`` is of the masks in the passes as in training.
    """
    some = fit.some(limit)
    few = _few(some)
    layers = _layers(subject, few[:1], spread(some)[1])
    switches = frozenset(subject.present())
    with subject.kept():
        ran = ordering.settle(subject, fit, some, switches, said, seed)
    if fit.shuffled:
        some = fit.some(limit)
        few = _few(some)
    facts = subject.facts()
    probed = probe(subject, _few(elsewhere.some(limit)) if elsewhere else few, facts.precision)
    with subject.kept():
        evaluate = subject.evaluate(fit, seed=0, keep=fit.look.size <= limit)
    done = Measured(layers, facts, probed, switches, evaluate, fit=ran)
    if elsewhere is not None:
        with subject.kept():
            done.elsewhere = subject.evaluate(elsewhere, seed=0, keep=elsewhere.look.size <= limit)
    if fit.look.size > limit:
        with subject.kept():
            done.sample = subject.evaluate(some, keep=True, seed=0)
    if not np.isfinite([step.loss for step in evaluate.steps]).all():
        with subject.kept():
            done.nonfinite = subject.nonfinite(few)
    as_in_fit(subject, fit, some, done, said is not None and not fit.dealt, seed)
    if any(row.evaluate == "batch" and row.role == "normalisation" for row in layers):
        with subject.kept():
            done.restacked = _quietly(
                done, lambda: subject.evaluate(dealt_anew(subject, some), seed=0).figures["loss"]
            )
    _compile(subject, fit, few, done)
    return done


def _compile(subject: Subject, fit: Passes, few: list[Batch], done: Measured) -> None:
    """Have evaluation be what the compiler makes of it, where that differs: the person's own goes through it."""
    with subject.kept():
        compiled = subject.compiled(few)
        if compiled is None or alike(compiled, subject.evaluate(few, keep=True, seed=0), COMPILED):
            return
        whole = subject.compiled(fit)
    if whole is not None:
        done.uncompiled, done.evaluate = done.evaluate, whole


def _layers(subject: Subject, batches: list[Batch], more: list[Batch]) -> list[Layer]:
    """Observe the layers on some samples of each batch, or on whole ones where the model takes nothing else.

    Of ``more`` batches, on which objectives are compared, the samples are spread evenly over all of them.
    """
    try:
        with subject.kept():
            some = [subject.join([batch], np.arange(min(WATCHED, batch.size))) for batch in batches]
            samples = sum(batch.size for batch in more)
            spread_out = np.linspace(0, samples - 1, min(PROBED, samples)).round().astype(int)
            return subject.layers(some, [subject.join(more, spread_out)])
    except Exception:  # whatever the model says to so few samples; what it says to a batch of its own counts
        return subject.layers(batches, more)


def as_in_fit(
    subject: Subject, data: Passes, some: list[Batch], done: Measured, orders: bool, seed: int
) -> None:
    """Add the passes of the terms: each set of switches, normalisation with the population's where it is off.

    Args:
        subject, data: the model and `fit`'s data.
        some: batches that pass side by side for the population.
        done: what is measured so far; the passes go into it.
        orders: whether other orders of the samples are of interest.
        seed: of the masks.
    """
    every = done.switches
    with subject.kept():
        try:
            done.fit = done.fit or subject.run(data, every, collect=True, seed=seed)
        except ValueError as error:
            # a batch of one sample has no variance: training refuses it, so that it can't have been in it
            if 1 not in data.look.batches or "value" not in str(error):
                raise
            data.single, done.dropped = False, data.look.batches.count(1)
            some = [batch for batch in some if batch.size > 1]
            done.fit = subject.run(data, every, collect=True, seed=seed)
        done.standing[every] = done.fit
        if "normalisation" in every and done.fit.seen:
            pooled = _quietly(done, lambda: subject.population(some))
            done.averaged = by_layer(done.fit.seen, done.layers)
            if pooled is not None:
                done.population = pooled[0]
                # the pass that pooled them is the one that normalises with them, where it was of all samples
                if pooled[1] is not None and data.whole and done.probed.twice == "same":
                    done.standing[frozenset()] = pooled[1]
        if "normalisation" not in every and (done.probed.twice, done.probed.state) == ("same", "same"):
            done.standing[frozenset()] = done.evaluate  # no switch thrown is an evaluation
        _stand(subject, data, done, seed)
        if done.population is not None and done.averaged is not None:
            _average(subject, data, done)
        if "normalisation" in every and len(some) > 1 and (orders or unlike(done.fit.seen, MILDLY)):
            _mix(subject, data, some, done)


def _stand(subject: Subject, data: Passes, done: Measured, seed: int) -> None:
    """The passes of all sets of switches that are left, those on the batch's own statistics first.

    Dropout before a normalisation changes what reaches it: with dropout on the population is one of such inputs.
    """
    sets = [
        frozenset(on)
        for size in range(len(done.switches))
        for on in combinations(sorted(done.switches), size)
    ]
    shifted = False
    for on in sorted(sets, key=lambda on: "normalisation" not in on):
        if on in done.standing:
            continue
        if "normalisation" in on or done.population is None:
            collect = done.population is not None and (on == ALONE or shifted)
            done.standing[on] = subject.run(data, on, collect=collect, seed=seed)
            shifted |= on == ALONE and collect and bool(shifting(done))
        else:
            seen = done.standing[on | ALONE].seen if on and shifted else {}
            given = {name: (one.mean, one.variance) for name, one in seen.items()} or done.population
            done.standing[on] = subject.run(data, on, statistics=given, seed=seed)


def _average(subject: Subject, data: Passes, done: Measured) -> None:
    """The passes with the means of the batches' statistics."""
    nothing: frozenset[str] = frozenset()
    done.under_averages = subject.run(data, nothing, statistics=done.averaged)
    if any("#" in name for name in done.seen):
        done.by_call = subject.run(data, nothing, statistics=_batches(done.seen))
    reached = (done.by_call or done.under_averages).figures["loss"]
    apart = abs(reached - done.standing[nothing].figures["loss"])
    if shifting(done) and not apart <= HARDLY * abs(reached):
        done.unshifted = subject.run(data, nothing, statistics=_batches(done.standing[ALONE].seen))


def shifting(done: Measured) -> dict[str, float]:
    """Layers that other switches, dropout before all, hand other inputs to: the ratio of variances, with by without."""
    if len(done.switches) < 2 or ALONE not in done.standing:
        return {}
    alone, found = done.standing[ALONE].seen, {}
    for name, one in done.seen.items():
        if name in alone:
            least = 1e-9 * (np.abs(one.mean) ** 2 + np.median(one.variance)) + 1e-300
            alive = (one.variance > least) & (alone[name].variance > least)
            ratio = (
                float(np.median(one.variance[alive] / alone[name].variance[alive])) if alive.any() else 1.0
            )
            if abs(ratio - 1) > SHIFTED:
                found[name.split("#")[0]] = ratio
    return found


def _batches(seen: dict[str, Seen]) -> Statistics:
    """The mean of the batches' statistics, by call."""
    return {name: (one.batch_mean, one.batch_variance) for name, one in seen.items()}


def _mix(subject: Subject, data: Passes, some: list[Batch], done: Measured) -> None:
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
    anew = dealt_anew(subject, part, seed)
    return _quietly(done, lambda: subject.run(anew, done.switches, collect=not done.remixed, seed=seed))


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


def by_layer(seen: dict[str, Seen], layers: Iterable[Layer] = ()) -> Statistics:
    """What each layer's moving average goes to, see `of_layer`, by call."""
    decays = {row.name: row.decay for row in layers}
    found = {
        layer: of_layer(seen, layer, decays.get(layer)) for layer in {name.split("#")[0] for name in seen}
    }
    return {name: found[name.split("#")[0]] for name in seen}


def of_layer(seen: dict[str, Seen], layer: str, decay: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a layer's moving average goes to: the mean of the batches' statistics over all of the layer's calls.

    Of several calls in a pass the last counts most: each update leaves a share of what was before it.
    """
    calls = [value for call, value in seen.items() if call.split("#")[0] == layer]
    ages = np.arange(len(calls) - 1, -1, -1)
    shares = np.ones(len(calls)) if decay is None else np.asarray(decay, float) ** ages
    means, variances = [call.batch_mean for call in calls], [call.batch_variance for call in calls]
    return np.average(means, 0, shares), np.average(variances, 0, shares)


def _few(batches: list[Batch]) -> list[Batch]:
    """The first batches, of so many samples as the probes take; a batch of one sample only where there is no other."""
    found: list[Batch] = []
    for batch in sorted(batches, key=lambda batch: batch.size < 2):
        if found and (sum(b.size for b in found) + batch.size > PROBED or batch.size < 2):
            break
        found.append(batch)
    return found


def _quietly(done: Measured, function: Any) -> Any:
    """A measurement that not every model allows: None, and a note why."""
    try:
        return function()
    except InputError:
        raise
    except ValueError as error:
        done.skipped.append(" ".join(str(error).split()))
        return None
