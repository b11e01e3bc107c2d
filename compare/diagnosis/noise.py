"""Is it noise that sets fit's inputs apart from evaluation's, or are they of another preprocessing?

Noise adds a variance that another pass doesn't repeat, and leaves what was there; a preprocessing makes another scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from compare.diagnosis.case import Case
from compare.diagnosis.data import is_function
from compare.diagnosis.dealing import by_number
from compare.diagnosis.looking import Look, batches
from compare.diagnosis.passes import Passes
from compare.diagnosis.side import Batch

# by how much variances may be larger or smaller: brightness and contrast that change at random do that
FACTOR = 2.5
# of the deviation of noise in a sample's own mean, and of evaluation's inputs: how far noise, and what is cut out of
# samples or laid around them, may move the mean
MOVED, COVERED = 2.0, 0.75
# of evaluation's deviation: an offset that is none; the slope of inputs that are others with something added; how many
# standard errors of both are chance
OFFSET, SLOPE, CHANCE = 0.1, 0.1, 3.0
# of a straight line: its correlation; the slope that inputs have which are turned, cut and covered besides
LINE, TURNED = 0.99, 0.25
# of the squared distance to the next sample: how far one that is found again lies from itself at most
ALIKE = 0.3
# of an input: at how many it is looked at
PLACES = 256
# of fit's own variance: the square of an offset that noise may make where nobody can say how much of it is noise
UNKNOWN = 0.25


@dataclass(frozen=True)
class Some:
    """Some samples of a pass: inputs ``(N, places, C)``, and the bytes of each one's targets."""

    x: np.ndarray
    targets: np.ndarray


def explains(case: Case, theirs: Look) -> bool:
    """Whether evaluation's inputs are fit's without the noise, by mean and variance of each channel.

    Args:
        case: has fit's data, of which another pass is made.
        theirs: a look at evaluation's.
    """
    if not len(theirs.mean) or theirs.mean.shape != case.fit.look.mean.shape:
        return False
    return _added(case) if case.fit.twice else _random(case, theirs)


def _random(case: Case, theirs: Look) -> bool:
    """Of inputs that are others in each pass: what the passes don't share is noise."""
    total, wanted = case.fit.look.deviation**2, theirs.deviation**2
    noise = _unshared(_inputs(case, 0, case.fit), _inputs(case, 1, case.fit))
    far, within = UNKNOWN * total, total
    if noise is not None:
        # noise at single places, and what is only at another place, leave a sample's mean where it is
        within, of_means = noise
        far = np.minimum(MOVED**2 * within, MOVED**2 * of_means + COVERED**2 * wanted)
    moved = (theirs.mean - case.fit.look.mean) ** 2
    least = np.maximum(total - within, 0) / FACTOR
    fits = (wanted >= least) & (wanted <= total * FACTOR) & (moved <= far + OFFSET**2 * wanted)
    return float(np.mean(fits)) > 0.5


def _unshared(one: Some, other: Some) -> tuple[np.ndarray, np.ndarray] | None:
    """The variance, by channel, that two passes don't share, of the inputs and of each sample's mean.

    None where nobody can say which samples are the same.

    Where the order is another one in each pass a sample is found again by its inputs, if those are hardly changed.
    """
    if one.x.shape != other.x.shape:
        return None
    partners = other.x
    if not np.array_equal(one.targets, other.targets) or len(set(one.targets.tolist())) < 2:
        ours, theirs = (some.x.reshape(len(some.x), -1) for some in (one, other))
        apart = (ours**2).sum(1)[:, None] + (theirs**2).sum(1) - 2 * ours @ theirs.T
        nearest = np.sort(apart, 1)[:, :2]
        if apart.shape[1] < 2 or np.median(nearest[:, 0] / np.maximum(nearest[:, 1], 1e-30)) > ALIKE:
            return None
        partners = other.x[apart.argmin(1)]
    apart = one.x - partners
    return (_rows(apart) ** 2).mean(0) / 2, (apart.mean(1) ** 2).mean(0) / 2


def _added(case: Case) -> bool:
    """Of inputs that are the same in each pass, beside evaluation's of the same targets: was something added?

    What is another preprocessing is a straight line of what was there, and of another slope than 1.
    """
    ours, theirs = (_inputs(case, 0, passes) for passes in (case.fit, case.elsewhere) if passes is not None)
    if ours.x.shape != theirs.x.shape or not np.array_equal(ours.targets, theirs.targets):
        return False
    one, other = _rows(ours.x), _rows(theirs.x)
    deviations = one.std(0) + 1e-12, other.std(0) + 1e-12
    slope = ((one - one.mean(0)) * (other - other.mean(0))).mean(0) / deviations[1] ** 2
    moved = (one.mean(0) - other.mean(0)) / deviations[1]
    chance = CHANCE * ((one - other).std(0) / deviations[1]) / len(one) ** 0.5
    line = slope * deviations[1] > LINE * deviations[0]
    # what has nothing of the other's is another input, however few samples there are to tell it by
    turned = (
        ~line
        & (slope > np.maximum(TURNED - chance, TURNED / 2))
        & (deviations[0] ** 2 * FACTOR > deviations[1] ** 2)
    )
    kept = ((np.abs(slope - 1) < SLOPE + chance) | (turned & (slope < 1))) & (np.abs(moved) < OFFSET + chance)
    return float(np.mean(kept)) > 0.5


def _inputs(case: Case, seed: int, passes: Passes) -> Some:
    """Some inputs as a pass with a seed has them, in the order of the data; by number where they can be taken so."""
    subject, data = case.subject, passes.data
    numbered = None if is_function(data.given) else by_number(data.given)
    passed: Iterator[Batch]
    if numbered is not None:
        take, size = numbered
        source = subject.replayed(lambda: iter([take(range(min(size, case.limit)))]), seed)
        passed = (subject.batch(raw) for raw in source)
    else:
        passed = batches(subject, data, seed)
    found: list[np.ndarray] = []
    targets: list[bytes] = []
    for batch in passed:
        arrays = [a for name, a in subject.arrays(batch).items() if name.startswith("y")]
        found.append(_first(case, batch))
        targets += [b"".join(a[i].tobytes() for a in arrays) for i in range(batch.size)]
        if len(targets) >= case.limit:
            break
    return Some(np.concatenate(found), np.array(targets))


def _first(case: Case, batch: Batch) -> np.ndarray:
    """The first float input of a batch, float64, at some of its places: samples, places, channels."""
    arrays = case.subject.arrays(batch)
    first = next(
        (a for name, a in arrays.items() if name.startswith("x") and a.dtype.kind == "f"), np.zeros((0, 1))
    )
    places = first.reshape(len(first), -1, first.shape[-1])
    return places[:, :: max(1, places.shape[1] // PLACES)].astype(np.float64)


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, array.shape[-1])
