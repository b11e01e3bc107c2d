"""What BN layers do is told by what they did, whatever their flags say. Both frameworks' tests import these.

The fixture ``person`` is theirs: it makes small models of a person's own by name; ``wing`` gives the modules.
"""

import numpy as np
import pytest

from compare.gap.audit import audit

# model -> layer -> what it normalises with in training, whether it moves, what in evaluation, whether it trains
EXPECTED = {
    "plain": {"bn": ("batch", True, "moving", True)},
    "without scale": {"bn": ("batch", True, "moving", True)},
    "without scale and shift": {"bn": ("batch", True, "moving", False)},
    "frozen by its variables": {"bn": ("batch", True, "moving", False)},
    "told to evaluate by the call": {"bn": ("moving", False, "moving", True)},
    "told to train by the call": {"bn": ("batch", True, "batch", True)},
    "shared by two branches": {"bn": ("batch", True, "moving", True)},
    "nested twice": {
        "inner/bn": ("batch", True, "moving", True),
        "outer/bn": ("moving", False, "moving", True),
    },
    "never reached": {
        "bn": ("batch", True, "moving", True),
        "spare": ("unreached", False, "unreached", True),
    },
}


def batch():
    return (np.random.default_rng(4).normal(1, 2, (6, 5, 5, 3)).astype(np.float32),)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_layers_behaviour_is_what_it_did(wing, person, name):
    model = person(name)
    before = wing.statistics.moving(model)
    found = audit(wing, model, batch())
    assert {
        layer.replace(".", "/"): (did.fit_statistics, did.updates, did.evaluate_statistics, did.affine_trains)
        for layer, did in found.items()
    } == EXPECTED[name]
    assert set(found) == set(wing.statistics.moving(model))
    for layer, pair in wing.statistics.moving(model).items():
        np.testing.assert_array_equal(pair, before[layer])
