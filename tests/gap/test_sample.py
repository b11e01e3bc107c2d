"""How much passes through a network: never more than the bounds, and all where that fits."""

import numpy as np
import pytest

from compare.gap.evaluations import Whole
from compare.gap.sample import EXPLANATION_IMAGES, Bounds, bounds, some_of
from tests.support.gap_checks import batches


def test_a_small_network_takes_all_and_a_large_one_fewer():
    small, large = bounds(0.25, 96, 32), bounds(1.0, 224, 32)
    assert small.explanation == EXPLANATION_IMAGES < small.population
    assert large.explanation == large.population == 125
    assert (small.step, large.step) == (128, 32)
    assert bounds(1.0, 448, 64).population == 64  # a training batch fits in any case


@pytest.mark.parametrize(
    ("most", "steps"), [(48, [0, 1, 2, 3, 4, 5]), (24, [0, 2, 5]), (16, [0, 5]), (3, [0])]
)
def test_some_batches_are_taken_evenly_and_never_more_than_may_be(most, steps):
    whole = batches()
    taken = some_of(whole, most)
    assert [next(i for i, batch in enumerate(whole) if batch is own) for own in taken] == steps
    assert sum(len(labels) for _, labels in taken) <= max(most, 8)


def test_the_population_of_a_whole_model_and_its_stages_passes_are_bounded():
    asked = {}

    class Side:
        class statistics:  # noqa: N801
            @staticmethod
            def population(model, batches):
                asked["population"] = sum(len(labels) for _, labels in batches)
                return {}

            @staticmethod
            def substituted(model, statistics):
                return Nothing()

        class replay:  # noqa: N801
            @staticmethod
            def replaying(model, random):
                return Nothing()

            @staticmethod
            def measure(model, batches, dropout, normalise, take=None):
                asked.setdefault("measured", []).append(sum(len(labels) for _, labels in batches))
                return {"loss": 0.0, "accuracy": 0.0}

    class Nothing:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    trained = Whole(Side, None, batches(), None, Bounds(explanation=16, stage=8))
    trained.under(trained.population, dropout=False)
    trained.part_under({"bn": (np.zeros(1), np.ones(1))})
    assert asked == {"population": 16, "measured": [48, 8]}
