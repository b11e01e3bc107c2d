"""What reaches a layer, gathered batch by batch, is what all batches at once would give."""

import numpy as np
import pytest

from torch_impl.gathering import Gathering


def gathered(x, sizes, **options):
    gathering = Gathering()
    for part in np.split(x, np.cumsum(sizes)[:-1]):
        gathering.take("bn", part.mean(2), part.var(2), part.shape[2], **options)
    return gathering.seen()["bn"]


@pytest.fixture
def x():
    return 1000 + np.random.default_rng(0).normal(size=(40, 3, 5)) * np.array([1.0, 0.01, 5.0])[:, None]


def test_pooled_moments_are_exact_however_the_samples_are_split(x):
    for sizes in ([40], [10] * 4, [16, 16, 8]):
        found = gathered(x, sizes)
        np.testing.assert_allclose(found.mean, x.mean((0, 2)), rtol=1e-12)
        np.testing.assert_allclose(found.variance, x.var((0, 2)), rtol=1e-8)
        assert (found.count, found.batches) == (200, len(sizes))


def test_means_over_the_batches_are_of_what_a_framework_stores(x):
    found = gathered(x, [10] * 4, unbiased=True)
    parts = np.split(x, 4)
    np.testing.assert_allclose(
        found.batch_variance, np.mean([p.var((0, 2), ddof=1) for p in parts], 0), rtol=1e-10
    )


def test_instances_are_stored_by_the_mean_of_each_ones_own(x):
    found = gathered(x, [20, 20], by_sample=True, unbiased=True)
    np.testing.assert_allclose(found.batch_variance, x.var(2, ddof=1).mean(0), rtol=1e-10)
    assert found.per_channel == 5


def test_batches_dealt_at_random_lie_as_far_apart_as_expected_and_sorted_ones_farther():
    rng = np.random.default_rng(1)
    means = rng.normal(size=(400, 50))
    random = gathered(means[..., None], [20] * 20)
    assert float(np.mean(random.between / random.expected)) == pytest.approx(1.0, abs=0.15)
    sorted_by_one = gathered(np.sort(means, 0)[..., None], [20] * 20)
    assert float(np.mean(sorted_by_one.between / sorted_by_one.expected)) > 10


def test_one_batch_of_all_samples_is_no_spread_at_all(x):
    found = gathered(x, [40])
    assert found.between.max() == 0
    assert found.expected.max() == 0
