"""Is what sets fit's inputs apart from evaluation's noise, or another preprocessing? Each bar from both sides."""

from types import SimpleNamespace

import numpy as np
import pytest

from compare.diagnosis import noise
from tests.diagnosis.cases import case, data

RNG = np.random.default_rng(0)
# 60 samples of 32 places with 2 channels, each sample about a mean of its own
CLEAN = RNG.normal(size=(60, 32, 2)) + 2 * RNG.normal(size=(60, 1, 2))
TARGETS = np.array([str(i % 7).encode() for i in range(60)])


def draw(scale=1.0):
    return scale * RNG.normal(size=CLEAN.shape)


def explained(monkeypatch, first, again, theirs, targets=(TARGETS, TARGETS)):
    """Whether noise explains evaluation's inputs, of two passes over fit's and one over evaluation's."""
    twice = again is None

    def inputs(case, seed, passes):
        if passes is made.elsewhere:
            return noise.Some(theirs, TARGETS)
        return noise.Some(again, targets[1]) if seed else noise.Some(first, targets[0])

    monkeypatch.setattr(noise, "_inputs", inputs)
    looks = [SimpleNamespace(mean=x.mean((0, 1)), deviation=x.std((0, 1))) for x in (first, theirs)]
    made = case()
    made.fit, made.elsewhere = data(look=looks[0], twice=twice), data(look=looks[1])
    return noise.explains(made, looks[1])


@pytest.mark.parametrize(
    ("scale", "offset", "noisy"),
    [
        (1.0, 0.0, True),
        (1.5, 0.0, True),
        (2.0, 0.0, False),
        (0.6, 0.0, False),
        (1.0, 1.0, True),
        (1.0, 4.0, False),
    ],
)
def test_noise_that_each_pass_draws_anew_leaves_what_was_there(monkeypatch, scale, offset, noisy):
    """Another scale, by more than brightness and contrast change, or an offset is no noise."""
    first, again = CLEAN + draw(0.3), CLEAN + draw(0.3)
    assert explained(monkeypatch, first, again, scale * CLEAN + 0.2 * offset) == noisy


def test_strong_noise_hides_what_was_there_and_is_still_noise(monkeypatch):
    assert explained(monkeypatch, CLEAN + draw(5.0), CLEAN + draw(5.0), CLEAN)
    assert not explained(monkeypatch, CLEAN + draw(0.1), CLEAN + draw(0.1), 0.2 * CLEAN)


@pytest.mark.parametrize(("strength", "noisy"), [(0.3, False), (9.0, True)])
def test_samples_in_another_order_are_found_again_by_their_inputs_unless_noise_hides_them(
    monkeypatch, strength, noisy
):
    """Noise that hides them may be all that there is, and then what evaluation lacks may be noise."""
    order = RNG.permutation(60)
    again, targets = (CLEAN + draw(strength))[order], TARGETS[order]
    theirs = CLEAN * 0.3
    assert explained(monkeypatch, CLEAN + draw(strength), again, theirs, (TARGETS, targets)) == noisy


@pytest.mark.parametrize(
    ("ours", "noisy"),
    [
        (CLEAN + draw(), True),
        (1.5 * CLEAN, False),
        (0.5 * CLEAN, False),
        (CLEAN + 2.0, False),
        (0.5 * CLEAN + draw(), True),
        (0.1 * CLEAN + draw(2.0), False),
        (draw(2.0), False),
    ],
    ids=[
        "noise",
        "larger",
        "smaller",
        "moved",
        "turned, cut or covered",
        "hardly any of it",
        "another input",
    ],
)
def test_noise_that_is_the_same_in_each_pass_is_something_added(monkeypatch, ours, noisy):
    assert explained(monkeypatch, ours, None, CLEAN) == noisy
