"""Keras's optimizers in numpy, operation by operation: what both implementations must compute to the last bit."""

import numpy as np

CASES = {
    "adam": {},
    "adamw": {"weight_decay": 0.004},
    "rmsprop": {},
    "sgd": {},
    "sgd with momentum": {"momentum": 0.9},
}
RATE = 1e-3
STEPS = 5


def gradients(shape, seed=0):
    """Gradients of several steps, from far above Adam's epsilon to far below it."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) * 10.0 ** rng.uniform(-12, 1, shape) for _ in range(STEPS)]


def expected(case, weight, gradients, rounds=True):
    """The weight after all steps; ``rounds``: with constants rounded to float32, as Keras has them on TensorFlow."""
    rounded = np.float32 if rounds else np.float64
    name, options = case.split()[0], CASES[case]
    m, v = np.zeros_like(weight), np.zeros_like(weight)
    for step, gradient in enumerate(gradients, 1):
        if name == "sgd":
            momentum = np.float64(rounded(options.get("momentum", 0.0)))
            m = m * momentum - gradient * RATE
            weight = weight + m if momentum else weight - gradient * RATE
        elif name == "rmsprop":
            v = 0.9 * v + (1 - 0.9) * gradient**2
            weight = weight - RATE * gradient / np.sqrt(v + 1e-7)
        else:
            decay = np.float64(rounded(options.get("weight_decay", 0.0)))
            weight = weight - weight * decay * RATE
            power1, power2 = (np.float64(rounded(beta)) ** np.float64(step) for beta in (0.9, 0.999))
            alpha = RATE * np.sqrt(1 - power2) / (1 - power1)
            m = m + (gradient - m) * (1 - 0.9)
            v = v + (gradient**2 - v) * (1 - 0.999)
            weight = weight - m * alpha / (np.sqrt(v) + 1e-7)
    return weight
