"""Small Keras models in which every weight matters."""

import numpy as np

from keras_impl import transfer


def randomise(model, seed=0):
    """Give every weight and statistic a value of its own, far from the initial one."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" not in weight.dtype:
            values = generator.random(weight.shape, "float32")
            fan_in = np.prod(weight.shape[:-1])
            weight.assign(values + 0.5 if len(weight.shape) == 1 else (values - 0.5) / fan_in**0.5)
    return model


def small(backbone="resnet50", variant="v1", seed=0, **options):
    return randomise(transfer.build(backbone, variant, 0.25, **options), seed)
