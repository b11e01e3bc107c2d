"""The code of cures, run where a person has a model and data: it must run, beside the model that it is offered for."""

import warnings

import keras
import numpy as np

from keras_impl.keeping import kept


def names_of(model, data):
    """What stands where a cure is pasted: the model, its data in batches, and as arrays where they are that.

    ``self`` is the model as well, for lines of its own steps.
    """
    import tensorflow as tf

    names = {"keras": keras, "np": np, "model": model, "self": model, "train_ds": data}
    if isinstance(data, tuple):
        data = tuple(tuple(part) if isinstance(part, list) else part for part in data)
        names["train_ds"] = tf.data.Dataset.from_tensor_slices(data).batch(32)
        names |= dict(zip(("x", "y", "weights"), data, strict=False))
    else:
        names |= dict(zip(("x", "y"), data[0][:2], strict=True))
    return names


def paste_all(found, model, data, folder):
    """Run the code of all findings, one after the other; how much of it there was.

    The model is put back at the end: who looks at it next, whichever test comes first, finds what was diagnosed.

    Args:
        folder: the working directory, for weights that were saved.
    """
    if any(finding.cause == "other-weights" for finding in found.findings):
        model.save_weights(folder / "trained.weights.h5")
    codes = [finding.cure.code for finding in found.findings if finding.cure.code]
    with warnings.catch_warnings(), kept(model):
        warnings.simplefilter("ignore")  # Keras's words on data sets that it can't shuffle, or count
        for code in codes:
            exec(code, names_of(model, data))
    return len(codes)
