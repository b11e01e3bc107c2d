"""Whatever form the data come in, the answer is the same; and what never ends is refused unless steps are said."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from compare.diagnosis.diagnosis import diagnose
from compare.spec import InputError
from tests.keras.diagnosis.toys import Batches, compiled, fitted, net, normed, toy

X, Y = toy(96, shift=3.0)
PARTS = [(X[start : start + 32], Y[start : start + 32]) for start in range(0, 96, 32)]
SIGNATURE = (tf.TensorSpec((None, 8)), tf.TensorSpec((None,), tf.int64))


class Endless(keras.utils.PyDataset):
    def __getitem__(self, index):
        return PARTS[index % 3]


def passing(endless=False):
    while True:
        yield from PARTS
        if not endless:
            return


def stream(endless=False):
    return tf.data.Dataset.from_generator(lambda: passing(endless), output_signature=SIGNATURE)


def rows():
    return tf.data.Dataset.from_tensor_slices((X, Y))


FORMS = {
    "arrays": lambda: (X, Y),
    "tensors": lambda: (tf.constant(X), tf.constant(Y)),
    "arrays with weights": lambda: (X, Y, np.ones(96, "float32")),
    "a list of batches": lambda: PARTS,
    "a list of lists": lambda: [list(part) for part in PARTS],
    "a data set": lambda: rows().batch(32),
    "a shuffled data set": lambda: rows().shuffle(96, seed=1).batch(32),
    "a data set of unknown length": stream,
    "a PyDataset": lambda: Batches(X, Y),
    "a generator function": lambda: passing,
    "a function of arrays": lambda: lambda: (X, Y),
    "a function of a data set": lambda: lambda: rows().batch(32),
    "a repeated data set, steps": lambda: rows().batch(32).repeat(),
    "an endless PyDataset, steps": Endless,
}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = compiled(net(*normed(0.99)))
    fitted(made, X, Y)
    return made


@pytest.fixture(scope="module")
def evaluated(model):
    return model.evaluate(X, Y, batch_size=32, verbose=0, return_dict=True)["loss"]


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_data_makes_no_difference(model, evaluated, form):
    steps = {"steps": 3} if form.endswith("steps") else {}
    found = diagnose(model, FORMS[form](), batch_size=32, **steps)
    assert found.findings[0].cause == "stale-statistics"
    assert found.samples == 96
    assert found.measured["evaluate_loss"] == pytest.approx(evaluated, rel=1e-5)
    assert found.probes.data_twice == "same"


@pytest.mark.parametrize(
    "make",
    [lambda: rows().batch(32).repeat(), lambda: stream(True), Endless],
    ids=["repeated", "a stream", "a PyDataset"],
)
def test_data_without_an_end_are_refused_without_steps(model, make):
    with pytest.raises(InputError, match=r".*steps="):
        diagnose(model, make())
