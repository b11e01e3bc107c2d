"""What evaluation's own data have to do with a gap: each bar from both sides."""

import numpy as np
import pytest

from compare.diagnosis import elsewhere
from compare.diagnosis.looking import Look
from tests.diagnosis.cases import case, data, found, passed

COUNT = 40
NUMBERS = np.arange(COUNT)


def looked(inputs=NUMBERS, targets=NUMBERS % 4, mean=0.0, deviation=1.0, weighted=False):
    """A look at samples that are numbers."""
    inputs, targets = np.asarray(inputs).astype(str), np.asarray(targets).astype(str)
    each, one = np.char.add(inputs, np.char.add("/", targets)), np.ones(2)
    return Look(
        [10] * 4, each, inputs, targets, one * mean, one * deviation, one * 0, one, {}, None, weighted
    )


def judged(monkeypatch, theirs, ours=None, evaluate=1.5, noise=False, **known):
    """What is found where evaluation's data cost 1.0 more than fit's."""
    monkeypatch.setattr(elsewhere.noise, "explains", lambda case, look: noise)
    made = case(evaluate=0.5, elsewhere=passed(evaluate))
    made.fit, made.elsewhere = data(look=ours or looked(), **known), data(look=theirs)
    elsewhere.judge(made)
    return made


def swapped(count):
    """Targets of which so many stand at another sample."""
    targets = NUMBERS % 4
    targets[:count] = (targets[:count] + 1) % 4
    return targets


@pytest.mark.parametrize(("count", "apart"), [(2, False), (3, True)])
def test_some_inputs_with_another_target_are_a_mistake_of_labels_and_many_came_apart(
    monkeypatch, count, apart
):
    made = judged(monkeypatch, looked(targets=swapped(count)))
    assert found(made) == {"samples": apart}


def other(**known):
    return looked(inputs=NUMBERS + 1000, **known)


@pytest.mark.parametrize(
    ("mean", "twice", "cause", "words"),
    [
        (0.2, True, "data-differ", "another order"),
        (0.3, True, "data-differ", "different preprocessings"),
        (0.2, False, "augmentation", "other from pass to pass"),
    ],
)
def test_other_inputs_of_the_same_targets_are_told_by_their_mean_and_by_another_pass(
    monkeypatch, mean, twice, cause, words
):
    made = judged(monkeypatch, other(mean=mean), twice=twice)
    assert found(made) == {cause: cause == "data-differ"}
    assert words in made.findings[0].evidence


def test_noise_in_fits_data_alone_is_an_augmentation(monkeypatch):
    assert found(judged(monkeypatch, other(mean=0.3), noise=True)) == {"augmentation": False}


@pytest.mark.parametrize(("mean", "cause"), [(0.9, "samples"), (1.1, "data-differ")])
def test_other_samples_are_of_another_preprocessing_where_their_inputs_lie_far_apart(
    monkeypatch, mean, cause
):
    theirs = looked(inputs=NUMBERS + 1000, targets=NUMBERS % 3, mean=mean)
    assert found(judged(monkeypatch, theirs)) == {cause: cause == "data-differ"}


def test_a_known_change_between_two_data_sets_is_written_down(monkeypatch):
    made = judged(monkeypatch, other(mean=100.0, deviation=50.0), looked(mean=100 / 255, deviation=50 / 255))
    assert made.findings[0].cure.code.startswith("x = x / 255")
    made = judged(monkeypatch, other(mean=100.0, deviation=50.0), looked(mean=100 / 200, deviation=50 / 200))
    assert "255" not in made.findings[0].cure.code


@pytest.mark.parametrize(
    ("weighted", "alone", "cause", "harmful"),
    [
        ((False, False), "same", "aggregation", False),
        ((False, False), "differs", "mode-in-evaluation", True),
        ((True, False), "same", "objective", False),
        ((True, False), "differs", "objective", False),
    ],
)
def test_the_same_samples_are_averaged_weighted_or_batched_otherwise(
    monkeypatch, weighted, alone, cause, harmful
):
    monkeypatch.setattr(elsewhere.noise, "explains", lambda case, look: False)
    made = case(evaluate=0.5, elsewhere=passed(1.5))
    made.measured.probed.alone = alone
    made.fit, made.elsewhere = (data(look=looked(weighted=one)) for one in weighted)
    elsewhere.judge(made)
    assert found(made) == {cause: harmful}
    assert [term.term for term in made.terms] == [cause]
