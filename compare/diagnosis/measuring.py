"""All measurements of a diagnosis, in order: what the layers do, the probes, the passes. No conclusion is drawn."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from compare.diagnosis import ordering
from compare.diagnosis.averages import by_call, by_layer
from compare.diagnosis.dealing import dealt_anew, mispaired, spread
from compare.diagnosis.measured import Measured
from compare.diagnosis.mixing import HARDLY, mix
from compare.diagnosis.ordering import MILDLY, unlike
from compare.diagnosis.passes import Passes
from compare.diagnosis.probes import alike, probe
from compare.diagnosis.side import Batch, Layer, Subject

# of the outputs' own size: what a compiler may change by computing in another order
COMPILED = 0.01
# of a variance: what another switch must change of what reaches a normalisation for its statistics to be others
SHIFTED = 0.01
# samples of the probes, and of each batch that layers are watched with: enough to see a difference, few enough to be
# quick
PROBED, WATCHED = 32, 16
# the switch of normalisation, thrown by itself
ALONE = frozenset({"normalisation"})


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
        evaluate = subject.evaluate(fit, seed=0, keep=fit.few)
    done = Measured(layers, facts, probed, switches, evaluate, fit=ran)
    if elsewhere is not None:
        with subject.kept():
            done.elsewhere = subject.evaluate(elsewhere, seed=0, keep=elsewhere.few)
    if not fit.few:
        with subject.kept():
            done.sample = subject.evaluate(some, keep=True, seed=0)
    if not np.isfinite([step.loss for step in evaluate.steps]).all():
        with subject.kept():
            done.nonfinite = subject.nonfinite(few)
    as_in_fit(subject, fit, some, done, said is not None, seed)
    done.unskilled = _unskilled(subject, few, done)
    if any(row.evaluate == "batch" and row.role == "normalisation" for row in layers):
        with subject.kept():
            done.restacked = done.dealing(
                lambda: subject.evaluate(dealt_anew(subject, some), seed=0).figures["loss"]
            )
    _compile(subject, fit, few, done)
    return done


def _unskilled(subject: Subject, few: list[Batch], done: Measured) -> float | None:
    """The loss of samples that are paired wrongly, where a step alone knows the loss; None where they can't be."""
    if any(step.shuffled is not None for step in (done.fit or done.evaluate).steps):
        return None
    try:
        with subject.kept():
            return subject.run([mispaired(subject, few)], done.switches).figures["loss"]
    except Exception:  # whatever the step says to such a batch: it is a figure that is nice to have
        return None


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
    subject: Subject, data: Passes, some: list[Batch], done: Measured, said: bool, seed: int
) -> None:
    """Add the passes of the terms: each set of switches, normalisation with the population's where it is off.

    Args:
        subject, data: the model and `fit`'s data.
        some: batches that pass side by side for the population.
        done: what is measured so far; the passes go into it.
        said: whether training's loss was reported: other objectives are of interest then, and other orders of the
            samples where that of `fit` isn't known.
        seed: of the masks.
    """
    every, keep, orders = done.switches, said and data.few, said and not data.dealt
    with subject.kept():
        try:
            done.fit = done.fit or subject.run(data, every, collect=True, seed=seed, keep=keep)
        except ValueError as error:
            # a batch of one sample has no variance: training refuses it, so that it can't have been in it
            if 1 not in data.look.batches or "value" not in str(error):
                raise
            data.single, done.dropped = False, data.look.batches.count(1)
            some = [batch for batch in some if batch.size > 1]
            done.fit = subject.run(data, every, collect=True, seed=seed, keep=keep)
        done.standing[every] = done.fit
        if "normalisation" in every and done.fit.seen:
            pooled = done.attempt(lambda: subject.population(some))
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
            mix(subject, data, some, done)


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
        done.by_call = subject.run(data, nothing, statistics=by_call(done.seen))
    reached = (done.by_call or done.under_averages).figures["loss"]
    apart = abs(reached - done.standing[nothing].figures["loss"])
    if shifting(done) and not apart <= HARDLY * abs(reached):
        done.unshifted = subject.run(data, nothing, statistics=by_call(done.standing[ALONE].seen))


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


def _few(batches: list[Batch]) -> list[Batch]:
    """The first batches, of so many samples as the probes take; a batch of one sample only where there is no other."""
    found: list[Batch] = []
    for batch in sorted(batches, key=lambda batch: batch.size < 2):
        if found and (sum(b.size for b in found) + batch.size > PROBED or batch.size < 2):
            break
        found.append(batch)
    return found
