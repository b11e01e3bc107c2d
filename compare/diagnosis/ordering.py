"""In which order did `fit` see the samples? Batches unlike one another, and arrays that it may have shuffled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compare.diagnosis.dealing import spread
from compare.diagnosis.passes import Passes
from compare.diagnosis.side import Batch, Pass, Seen, Subject

# how far apart batches of a kind must lie, beside batches dealt at random, to be called unmixed; the second
# where dealing anew shows that it matters
UNMIXED, MILDLY = 3.0, 1.0
# of the distance of one order's loss from the reported one: how near the other order's must lie to be fit's
CLEARLY = 0.5


def unlike(
    seen: Mapping[str, Seen], least: float, dealt: Mapping[str, Seen] | None = None, samples: int = 0
) -> list[str]:
    """Calls whose batches lie further apart than batches dealt at random, by a ratio of variances of so much.

    Args:
        seen: what reached the calls.
        least: the ratio.
        dealt: what reached them in batches that were dealt at random. Those lie further apart than so many rows would
            by chance where a sample has several in a batch, such as two views of it.
        samples: of the pass, as the data count them.
    """
    found = []
    for name, one in seen.items():
        if one.batches < 3:
            continue
        ratio = _apart(one)
        if dealt and name in dealt and dealt[name].batches > 2:
            ratio /= max(1.0, min(one.rows / max(1, samples), _apart(dealt[name])))
        # what a ratio of variances of so many batches reaches by chance: three of its deviations
        if ratio > least + 3 * np.sqrt(2 / (one.batches - 1)):
            found.append(name)
    return found


def _apart(one: Seen) -> float:
    """How far the batches' means lie apart, a ratio of variances, beside what so many samples would by chance."""
    least = 1e-12 * (np.abs(one.mean) ** 2 + one.variance) + 1e-300
    return float(np.median(one.between / np.maximum(one.expected, least)))


def settle(
    subject: Subject, fit: Passes, some: list[Batch], switches: frozenset[str], said: float | None, seed: int
) -> Pass | None:
    """Shuffle arrays that stand in an order that `fit` didn't see them in: sorted by class, and shuffled by `fit`.

    That is `fit`'s default. Which of both it was is told by training's reported loss, or by the lesser loss: a network
    on the batch's statistics does best in batches as it was trained with.

    Args:
        subject, fit: the model and `fit`'s data.
        some: of its batches.
        switches: those that are there.
        said: the loss that training reported; None where nobody did.
        seed: of the masks.

    Returns:
        The pass as in training that told it, over `fit`'s batches as they stay; None where there was none.
    """
    several = [batch for batch in some if batch.size > 1]
    if not fit.shuffles or "normalisation" not in switches or not several:
        return None
    ran = None  # a batch of one sample can't be passed as in training
    if min(fit.look.batches) > 1:
        keep = said is not None and fit.few
        ran = subject.run(fit, switches, collect=True, seed=seed, keep=keep)
    seen = ran.seen if ran else subject.run(spread(several)[1], switches, collect=True, seed=seed).seen
    dealt = fit.anew() if unlike(seen, MILDLY) else None
    if dealt is None:
        return ran
    before, after = (
        subject.run((batch for batch in order if batch.size > 1), switches, seed=seed).figures["loss"]
        for order in (fit, dealt)
    )
    if after < before if said is None else abs(after - said) < CLEARLY * abs(before - said):
        fit.shuffle(dealt)
        return None
    return ran
