"""Dropout before a normalisation: what is stored is of inputs that evaluation never sees (Li et al. 2018)."""

import keras
import numpy as np
from keras import layers

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, toy


def diagnosed(before, rate=0.8, batch_size=32):
    keras.utils.set_random_seed(7)
    parts = []
    for _ in range(2):
        parts += [Dense(32, "relu"), *([layers.Dropout(rate)] if before else []), BN(momentum=0.9)]
    model, (x, y) = compiled(net(*parts, *([] if before else [layers.Dropout(rate)])), 0.005), toy()
    history = fitted(model, x, y, 40, batch_size)
    evaluated = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    seen = {"loss": history.history["loss"][-1], "evaluate_loss": evaluated}
    return model, (x, y), diagnose(model, (x, y), reported=seen, batch_size=batch_size)


def values(found):
    return {term.term: term.value for term in found.terms}


def test_what_dropout_does_to_stored_statistics_is_dropouts_and_not_the_batches():
    model, (x, y), found = diagnosed(before=True)
    terms = values(found)
    assert terms["variance-shift"] > 0.1
    assert abs(terms["batch-noise"]) < 0.3 * terms["variance-shift"]
    assert np.isclose(sum(terms.values()), found.gap, rtol=1e-6)
    dropout = next(finding for finding in found.findings if finding.cause == "dropout")
    assert not dropout.harmful
    assert "worse" in dropout.evidence
    assert not any(finding.cause == "batch-noise" for finding in found.findings)
    # the cure: statistics without dropout
    before = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
    exec(
        dropout.cure.code,
        {
            "keras": keras,
            "model": model,
            "train_ds": [(x[i : i + 32], y[i : i + 32]) for i in range(0, 256, 32)],
        },
    )
    after = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert after < before - 0.3 * terms["variance-shift"]
    assert [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)] == rates


def test_behind_the_last_normalisation_it_shifts_nothing():
    _, _, found = diagnosed(before=False)
    assert "variance-shift" not in values(found)
    assert values(found)["dropout"] < 0
    assert not any("before" in finding.evidence for finding in found.findings)
