"""What a reported loss is of: each bar from both sides."""

from types import SimpleNamespace

import pytest

from compare.diagnosis import said_in_evaluation, said_in_fit
from compare.diagnosis.side import Facts
from tests.diagnosis.cases import NORMALISATION, case, found, passed


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch):
    """No change of the inputs and no other objective gives a figure."""
    monkeypatch.setattr(said_in_evaluation, "evaluated_as", lambda case, said: None)
    for module in (said_in_fit, said_in_evaluation):
        monkeypatch.setattr(module, "other_objective", lambda case, said, evaluation: None)


def evaluated(said, random=False, **known):
    made = case(reported={"loss": 0.5, "evaluate_loss": said}, **known)
    made.subject = SimpleNamespace(run=lambda *_, **__: passed(1.0))
    if random:
        made.has = lambda cause: cause == "random-evaluation"
        made.measured.probed.losses = [0.5, 0.5]
    said_in_evaluation.judge(made)
    return found(made), [term.term for term in made.terms]


@pytest.mark.parametrize(
    ("said", "random", "cause"),
    [(0.59, True, "random-evaluation"), (0.65, True, "other-weights"), (0.65, False, "other-weights")],
)
def test_a_random_evaluation_may_be_off_by_a_fifth(said, random, cause):
    causes, terms = evaluated(said, random)
    assert terms == [cause]
    assert causes == ({} if cause == "random-evaluation" else {cause: False})


@pytest.mark.parametrize(("said", "cause"), [(1.02, "mode-in-evaluation"), (1.06, "other-weights")])
def test_a_figure_of_training_mode_lies_near_what_that_gives(said, cause):
    causes, terms = evaluated(said, fit=1.0)
    assert (causes, terms) == ({cause: cause == "mode-in-evaluation"}, [cause])


@pytest.mark.parametrize(
    ("said", "cause"), [(2.7, "samples"), (3.3, "samples"), (2.55, "other-weights"), (5.0, "other-weights")]
)
def test_a_figure_of_other_samples_targets_lies_near_what_these_give(said, cause):
    causes, terms = evaluated(said)  # beside other targets the loss is 3.0
    assert (causes, terms) == ({cause: cause == "samples"}, [cause])


def trained(said, initial=(), losses=(0.9, 1.1, 0.9, 1.1), switches=NORMALISATION, **reported):
    made = case(fit=list(losses), reported={"loss": said, **reported}, switches=switches,
                facts=Facts(initial=initial, parameters=10))  # fmt: skip
    made.measured.evaluate = passed([0.9, 1.1, 1.1, 0.9])
    said_in_fit.judge(made)
    return found(made)


@pytest.mark.parametrize(
    ("said", "initial", "cause"),
    [
        (0.31, ("a",), "other-weights"),
        (0.42, ("a",), "weights-moved"),
        (0.31, (), "weights-moved"),
        (0.42, tuple("abcde"), "other-weights"),
    ],
)
def test_weights_as_an_initialiser_makes_them_are_not_the_trained_ones(said, initial, cause):
    assert trained(said, initial) == {cause: cause == "other-weights"}


def test_what_masks_may_do_is_no_weight_that_moved():
    assert trained(0.85) == {"weights-moved": False}
    assert trained(0.85, switches=NORMALISATION | {"dropout"}) == {}
    assert trained(0.6, switches=NORMALISATION | {"dropout"}) == {"weights-moved": False}
