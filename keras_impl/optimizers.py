"""Adam, as Keras computes it.

Source: Kingma and Ba 2014, https://arxiv.org/abs/1412.6980; Keras uses the form at the end of its section 2.
"""

import keras


def adam(model, learning_rate=1e-3, numerics="native"):
    """Make the optimizer of a model's trainable parameters.

    Args:
        model: the model to train; Keras asks for its variables at the first step, so it isn't used here.
        learning_rate: step size.
        numerics: ``native`` and ``matched`` are the same here; PyTorch's side takes over these numbers.

    DIFFERS: epsilon is 1e-7 (PyTorch: 1e-8) and is added before the bias correction.
    """
    return keras.optimizers.Adam(learning_rate)
