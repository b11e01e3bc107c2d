"""All measurements of a diagnosis, in order: what the layers do, the probes, the passes. No conclusion is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from compare.diagnosis.data import Passes
from compare.diagnosis.records import Answer
from compare.diagnosis.side import Batch, Facts, Layer, Pass, Seen, Statistics, Subject
from compare.spec import InputError

# how far apart batches of a kind must lie, beside batches dealt at random, to be called unmixed; the second
# where dealing anew shows that it matters
UNMIXED, MILDLY = 3.0, 1.0
# samples of the probes: enough to see a difference, few enough to be quick
PROBED = 64
# relative to the outputs' own size: kernels differ by the number of samples, in rounding only
ROUNDING = {"float64": 1e-9, "float32": 1e-4, "float16": 2e-2, "bfloat16": 5e-2}


@dataclass
class Probed:
    """What the probes showed.

    Attributes:
        twice, alone, state: the answers.
        losses: of several evaluations with other random numbers each.
        in_a_row: losses of evaluations one after the other, nothing put back.
        changed: what an evaluation changed: ``part:name``.
        by_itself: mean loss of the samples alone, and in their batch; None where not asked.
    """

    twice: Answer = "not asked"
    alone: Answer = "not asked"
    state: Answer = "not asked"
    losses: list[float] = field(default_factory=list)
    in_a_row: list[float] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    by_itself: tuple[float, float] | None = None


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
        mixed: losses of fit's batches and of batches of the same size dealt anew, both as in training.
        restacked: an evaluation of batches dealt anew.
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
    mixed: tuple[float, float] | None = None
    restacked: float | None = None
    nonfinite: str | None = None
    dropped: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def seen(self) -> dict[str, Seen]:
        """What reached the normalisation calls in the pass as in training."""
        return {} if self.fit is None else self.fit.seen


def measure(
    subject: Subject, fit: Passes, elsewhere: Passes | None, limit: int, orders: bool = True, seed: int = 0
) -> Measured:
    """Measure everything, in the order of the module's text; the caller keeps the state.

    ``orders`` is whether other orders of the samples are of interest, where that of `fit` isn't known; ``seed`` is of
    the masks in the passes as in training.
    """
    some = fit.some(limit)
    few = _few(some)
    layers = subject.layers(few[:2])
    switches = frozenset(subject.present())
    probed = probe(subject, _few(elsewhere.some(limit)) if elsewhere else few)
    with subject.kept():
        evaluate = subject.evaluate(fit, seed=0, keep=fit.look.size <= limit)
    done = Measured(layers, subject.facts(), probed, switches, evaluate)
    if elsewhere is not None:
        with subject.kept():
            done.elsewhere = subject.evaluate(elsewhere, seed=0, keep=elsewhere.look.size <= limit)
    if fit.look.size > limit:
        with subject.kept():
            done.sample = subject.evaluate(some, keep=True, seed=0)
    if not np.isfinite([step.loss for step in evaluate.steps]).all():
        with subject.kept():
            done.nonfinite = subject.nonfinite(few)
    _as_in_fit(subject, fit, some, done, orders and not fit.dealt, seed)
    if any(row.evaluate == "batch" and row.role == "normalisation" for row in layers):
        with subject.kept():
            done.restacked = _quietly(
                done, lambda: subject.evaluate(_dealt(subject, some), seed=0).figures["loss"]
            )
    return done


def probe(subject: Subject, batches: list[Batch]) -> Probed:
    """Evaluate twice, hash the state around an evaluation, and compare samples alone with those in a batch."""
    found, precision = Probed(), subject.facts().precision
    with subject.kept():
        before = subject.state()
        passes = [subject.evaluate(batches, keep=True, seed=1)]
        after = subject.state()
        found.changed = sorted(
            name
            for name in before.keys() | after.keys()
            if name.split(":")[0] in ("weights", "statistics") and before.get(name) != after.get(name)
        )
        found.in_a_row = [loss_of(passes[0])]
        if found.changed:
            found.in_a_row += [loss_of(subject.evaluate(batches, seed=1)) for _ in range(3)]
    found.state = "differs" if found.changed else "same"
    for seed in (2, 3, 1):
        with subject.kept():
            passes.append(subject.evaluate(batches, keep=True, seed=seed))
        found.twice = (
            "same" if all(_alike(passes[0], other, precision) for other in passes[1:]) else "differs"
        )
        if found.twice == "same":
            break
    found.losses = [loss_of(one) for one in passes]
    _alone(subject, batches[0], passes[0], found, precision)
    return found


def loss_of(one: Pass) -> float:
    """A pass's loss."""
    return one.figures["loss"]


def _alone(subject: Subject, batch: Batch, together: Pass, found: Probed, precision: str) -> None:
    outputs = together.steps[0].outputs
    if batch.size < 2 or outputs is None:
        return
    try:
        alone = [subject.join([batch], np.array([i])) for i in range(min(4, batch.size))]
    except ValueError:
        return
    losses, same = [], True
    with subject.kept():
        try:
            steps = [subject.evaluate([one], keep=True, seed=1).steps[0] for one in alone]
        except Exception:  # batch statistics of a single value, for one
            same, steps = False, []
    for i, step in enumerate(steps):
        losses.append(step.loss)
        same &= step.outputs is not None and _near(_flat(step.outputs), _flat(outputs, i), precision)
    if found.twice == "same" and not found.changed:
        found.alone = "same" if same else "differs"
    if not same and losses:
        found.by_itself = (float(np.mean(losses)), together.steps[0].loss)


def _as_in_fit(
    subject: Subject, data: Passes, some: list[Batch], done: Measured, orders: bool, seed: int
) -> None:
    """The passes of the terms: each set of switches, normalisation with the population's where it is off."""
    every = done.switches
    with subject.kept():
        try:
            done.fit = subject.run(data, every, collect=True, seed=seed)
        except ValueError as error:
            # a batch of one sample has no variance: training refuses it, so that it can't have been in it
            if 1 not in data.look.batches or "value" not in str(error):
                raise
            data.single, done.dropped = False, data.look.batches.count(1)
            some = [batch for batch in some if batch.size > 1]
            done.fit = subject.run(data, every, collect=True, seed=seed)
        done.standing[every] = done.fit
        if "normalisation" in every and done.fit.seen:
            done.population = _quietly(done, lambda: subject.population(some))
            done.averaged = by_layer(done.fit.seen)
        for size in range(len(every)):
            for on in map(frozenset, combinations(sorted(every), size)):
                given = None if "normalisation" in on else done.population
                done.standing[on] = subject.run(data, on, statistics=given, seed=seed)
        if done.population is not None and done.averaged is not None:
            done.under_averages = subject.run(data, frozenset(), statistics=done.averaged)
            if any("#" in name for name in done.fit.seen):
                averages = {
                    name: (seen.batch_mean, seen.batch_variance) for name, seen in done.fit.seen.items()
                }
                done.by_call = subject.run(data, frozenset(), statistics=averages)
        if "normalisation" in every and len(some) > 1 and (orders or _unlike(done.fit.seen, MILDLY)):
            _mix(subject, data, some, done)


def _mix(subject: Subject, data: Passes, some: list[Batch], done: Measured) -> None:
    """Deal the samples to batches of the same size anew, as in training."""
    every = done.switches

    def run(batches: Iterable[Batch], seed: int = 0) -> float:
        return subject.run(batches, every, seed=seed).figures["loss"]

    dealt = _quietly(done, lambda: [run(_dealt(subject, some, seed), seed) for seed in (1, 2)])
    if dealt is not None and done.fit is not None:
        whole = sum(batch.size for batch in some) == data.look.size
        done.mixed = (done.fit.figures["loss"] if whole else run(some), float(np.mean(dealt)))
        done.orders = dealt


def unmixed(measured: Measured) -> list[str]:
    """Calls whose batches are unlike one another by far more than batches dealt at random.

    By less than far where dealing the samples anew costs most of what the batches' own statistics gain.
    """
    found = _unlike(measured.seen, UNMIXED)
    if found or measured.mixed is None or measured.population is None:
        return found
    every, before = measured.switches, measured.mixed[0]
    pooled = measured.standing[every - {"normalisation"}].figures["loss"]
    gain = pooled - measured.standing[every].figures["loss"]
    matters = gain > 0 and measured.mixed[1] - before > 0.5 * gain
    return _unlike(measured.seen, MILDLY) if matters else []


def _unlike(seen: dict[str, Seen], least: float) -> list[str]:
    found = []
    for name, one in seen.items():
        if one.batches < 3:
            continue
        expected = np.maximum(one.expected, 1e-12 * (np.abs(one.mean) ** 2 + one.variance) + 1e-300)
        ratio = float(np.median(one.between / expected))
        # what a ratio of variances of so many batches reaches by chance
        if ratio > least + 6 / np.sqrt(one.batches - 1):
            found.append(name)
    return found


def _dealt(subject: Subject, batches: list[Batch], seed: int = 0) -> list[Batch]:
    sizes = [batch.size for batch in batches]
    order = np.random.default_rng(seed).permutation(sum(sizes))
    return [subject.join(batches, part) for part in np.split(order, np.cumsum(sizes)[:-1]) if len(part)]


def by_layer(seen: dict[str, Seen]) -> Statistics:
    """The mean of the batches' statistics over all calls of a layer, which is what its moving average goes to."""
    found = {}
    for name in seen:
        calls = [value for call, value in seen.items() if call.split("#")[0] == name.split("#")[0]]
        found[name] = (
            np.mean([call.batch_mean for call in calls], 0),
            np.mean([call.batch_variance for call in calls], 0),
        )
    return found


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


def _alike(one: Pass, other: Pass, precision: str) -> bool:
    """Whether two evaluations gave the same outputs, or the same losses where outputs aren't known."""
    for a, b in zip(one.steps, other.steps, strict=True):
        if a.outputs is not None and b.outputs is not None:
            if not _near(_flat(a.outputs), _flat(b.outputs), precision):
                return False
        elif not _near(np.array([a.loss]), np.array([b.loss]), precision):
            return False
    return True


def _near(a: np.ndarray, b: np.ndarray, precision: str) -> bool:
    if a.shape != b.shape:
        return True  # nothing to compare: outputs that aren't sample by sample
    finite = a[np.isfinite(a)]
    scale = float(np.abs(finite).max()) if finite.size else 0.0
    return bool(np.allclose(a, b, rtol=0, atol=ROUNDING.get(precision, 1e-4) * scale + 1e-12, equal_nan=True))


def _flat(outputs: Any, at: int | None = None) -> np.ndarray:
    """All values of some outputs in a row, of one sample where it is asked for."""
    parts = outputs if isinstance(outputs, list | tuple) else [outputs]
    rows = [np.asarray(part) for part in _arrays(parts)]
    if at is not None:
        rows = [row[at : at + 1] if row.ndim else row for row in rows]
    flat = [row.astype(np.float64).ravel() for row in rows if row.dtype.kind in "fiub"]
    return np.concatenate(flat) if flat else np.zeros(0)


def _arrays(parts: Any) -> Any:
    for part in parts:
        if isinstance(part, list | tuple):
            yield from _arrays(part)
        elif isinstance(part, dict):
            yield from _arrays(part.values())
        elif part is not None:
            yield part
