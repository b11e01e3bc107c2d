"""Arrays sorted by class: `fit` shuffles them unless it is told otherwise, and so does the diagnosis."""

import keras
import numpy as np
import pytest

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import compiled, fitted, net, normed, toy


def sorted_by_class(shift=3.0):
    keras.utils.set_random_seed(0)
    x, y = toy(384)
    x = x + shift * np.array([0, 1, -1], "float32")[y][:, None]
    order = y.argsort(kind="stable")
    return compiled(net(*normed())), x[order], y[order]


def told(model, x, y, history):
    evaluated = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    return {"loss": history.history["loss"][-1], "evaluate_loss": evaluated}


@pytest.mark.parametrize("says", [True, False])
def test_arrays_that_fit_has_shuffled_are_shuffled_here(says):
    model, x, y = sorted_by_class()
    seen = told(model, x, y, fitted(model, x, y, epochs=10))
    found = diagnose(model, (x, y), batch_size=32, reported=seen if says else None)
    assert not found.harmful
    assert abs(found.measured["fit_loss"] - seen["loss"]) < 0.1
    assert "unmixed-batches" not in {term.term for term in found.terms}
    assert any("shuffled" in note for note in found.notes)


def test_tensors_are_shuffled_like_arrays():
    model, x, y = sorted_by_class()
    seen = told(model, x, y, fitted(model, x, y, epochs=10))
    of_arrays, of_tensors = (
        diagnose(model, given, batch_size=32, reported=seen)
        for given in ((x, y), tuple(map(keras.ops.convert_to_tensor, (x, y))))
    )
    assert any("shuffled" in note for note in of_tensors.notes)
    assert of_tensors.measured == of_arrays.measured


@pytest.mark.parametrize("shift", [3.0, 5.0])
def test_batches_of_one_class_are_unmixed_though_evaluation_is_no_worse(shift):
    model, x, y = sorted_by_class(shift)
    seen = told(model, x, y, fitted(model, x, y, epochs=10, shuffle=False))
    found = diagnose(model, (x, y), batch_size=32, reported=seen)
    assert "unmixed-batches" in {f.cause for f in found.findings}
    assert {f.cause for f in found.findings if f.harmful} <= {"unmixed-batches"}
    assert found.measured["fit_loss"] == pytest.approx(seen["loss"], rel=1e-3)
    assert not any("shuffled" in note for note in found.notes)


def test_arrays_in_no_order_stay_as_they_are():
    keras.utils.set_random_seed(0)
    x, y = toy(256)
    model = compiled(net(*normed()))
    seen = told(model, x, y, fitted(model, x, y))
    found = diagnose(model, (x, y), batch_size=32, reported=seen)
    assert not any("shuffled" in note for note in found.notes)
