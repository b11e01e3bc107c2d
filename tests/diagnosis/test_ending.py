"""A pass without an end is told from a long one by its samples, and by its length where they never come again."""

from itertools import count, islice

import numpy as np
import pytest

from compare.diagnosis.data import Data
from compare.diagnosis.ending import MOST, endless, period_of
from compare.diagnosis.looking import fingerprints

X = np.arange(12.0).reshape(6, 2)


def said(samples, size=2):
    return endless(samples, [size] * (len(samples) // size))


def numbered(numbers):
    return [number.to_bytes(8, "big") for number in numbers]


def test_a_pass_that_begins_anew_again_and_again_is_told_from_one_that_only_holds_the_same():
    one, other = fingerprints([X[:2]]), fingerprints([X[2:5]])
    samples, sizes = [bytes.fromhex(name) for name in (*one, *other) * 32], [2, 3] * 32
    assert period_of(samples, sizes) == 2
    assert endless(samples, sizes) == "never ends, it begins anew every 2 batches"
    assert endless(samples[:-5], sizes[:-2]) is None  # looked at now and then
    assert endless(samples[:40], sizes[:16]) is None  # a pass may hold its samples a few times
    samples[-1] = samples[0]
    assert period_of(samples, sizes) is None


def test_samples_that_come_again_in_any_order_are_counted():
    rng = np.random.default_rng(0)
    drawn = numbered(rng.integers(0, 10, 128).tolist())
    assert said(drawn) == "gives the same 10 samples again and again, and doesn't say whether it ends"
    shuffled = numbered(int(i) for _ in range(8) for i in rng.permutation(16))
    assert said(shuffled).startswith("gives the same 16 samples")


def test_samples_that_come_four_times_may_be_all_that_there_are():
    rng = np.random.default_rng(0)
    assert said(numbered(int(i) for _ in range(4) for i in rng.permutation(32))) is None
    # four turns in the same order are none of a pass without end, either
    assert period_of(numbered([*range(32)] * 4), [2] * 64) is None


def test_a_pass_of_few_samples_oversampled_goes_on():
    rare = numbered([*range(60), *(60 + i % 6 for i in range(68))])
    assert said(rare) is None


def test_samples_that_never_come_again_are_too_many_at_some_time():
    new = numbered(islice(count(), MOST + 1))
    assert said(new[:-1], size=1) is None
    assert said(new, size=1) == f"gives more than {MOST:,} batches, and doesn't say whether it ends"


@pytest.mark.parametrize("given", [[(X, X)], (X, X), lambda: [(X, X)]], ids=["list", "arrays", "function"])
def test_data_that_say_their_length_are_never_suspected(given):
    assert not Data(given, "data", 2, None).open


def test_data_that_do_not_say_their_length_are_open_unless_somebody_else_says_it():
    def generator():
        yield X, X

    assert Data(generator, "data", 2, None).open
    assert not Data(generator, "data", 2, 5).open
