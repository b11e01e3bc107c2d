"""What BN layers do is told by what they did, whatever their flags say. Both frameworks' tests import these.

The fixture ``person`` is theirs: it makes small models of a person's own by name; ``wing`` gives the modules.
"""

import numpy as np
import pytest

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


def audited(wing, model):
    """The rows of the audit of a person's model, by layer, on a few samples of its own."""
    x = np.random.default_rng(4).normal(1, 2, (6, 5, 5, 3)).astype(np.float32)
    subject = wing.probing.Subject(model, loss=lambda outputs, targets: (outputs * outputs)[0, 0])
    raw = tuple(wing.batches.tensors((x, np.zeros((6, 1), np.float32)), model))
    return {row.name: row for row in subject.layers([subject.batch(raw)])}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_layers_behaviour_is_what_it_did(wing, person, name):
    model = person(name)
    before = wing.statistics.moving(model)
    found = audited(wing, model)
    assert {
        layer.replace(".", "/"): (did.fit, did.moves, did.evaluate, did.trains)
        for layer, did in found.items()
        if did.role == "normalisation"
    } == EXPECTED[name]
    for layer, pair in wing.statistics.moving(model).items():
        np.testing.assert_array_equal(pair, before[layer])
