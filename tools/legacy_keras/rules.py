"""What a batch normalisation computes by each rule that there could be, in float64, and which rule gives a figure."""

import numpy as np

EPSILON = 1e-3  # the default of every release


def moments(x):
    """The mean and biased variance of a batch, and of how many values."""
    axes = tuple(range(x.ndim - 1))
    x = x.astype("float64")
    return x.mean(axes), x.var(axes), x[..., 0].size


def told(loss, x, y, *states):
    """Say which statistics give this loss; the moving ones may be those of any of the states."""
    loss = float(np.ravel(loss)[0])
    means = [("batch", states[0], moments(x)[:2])] + [("moving", s, s[2:4]) for s in states]
    for name, (gamma, beta, _, _, kernel, bias), (mean, variance) in means:
        out = gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta
        expected = np.mean((out.reshape(len(x), -1).dot(kernel) + bias - y) ** 2)
        if abs(loss - expected) < 1e-4 * expected:
            return name
    return "neither"


def rule(steps):
    """Tell the rule of the update from what the moving statistics were around each of the steps from the first on."""
    (x, before, after), second = steps[:2]
    batch = moments(x)
    zero_debiased = bool(np.allclose(after[2], batch[0], rtol=1e-4))
    if zero_debiased:  # m2 = (decay * b1 + b2) / (1 + decay)
        mean = moments(second[0])[0]
        decay = share(second[2][2] - mean, batch[0] - second[2][2])
        taken = after[3]
    else:
        decay = share(after[2] - batch[0], before[2] - batch[0])
        taken = (after[3] - decay * before[3]) / (1 - decay)
    factor = share(taken, batch[1])
    decay = round(float(decay), 4)
    n = float(batch[2])
    kinds = [
        ("biased", 1.0, "1"),
        ("unbiased", n / (n - 1), "n/(n-1)"),
        ("unbiased", n / (n - 1 - EPSILON), "n/(n-1-epsilon)"),
        ("doubly corrected", n / (n - 1) * n / (n - 1 - EPSILON), "n/(n-1) * n/(n-1-epsilon)"),
    ]
    variance, nearest, formula = min(kinds, key=lambda kind: abs(kind[1] - factor))
    if abs(nearest - factor) > 5e-5:
        raise ArithmeticError("factor %.6f on the variance of %d values is none of %s" % (factor, n, kinds))
    check(steps, decay, nearest, zero_debiased)
    said = "the batch variance (/n) enters times %.5f for n = %d: %s" % (factor, n, formula)
    return {"decay": decay, "variance": variance, "zero_debiased": zero_debiased}, said


def share(a, b):
    """The number that b is nearest to a times, by least squares."""
    return a.dot(b) / b.dot(b)


def check(steps, decay, factor, zero_debiased):
    """Follow the rule through all steps; what the release has must be what comes out."""
    mean, variance = steps[0][1][2:4]
    if zero_debiased:
        mean, variance = 0 * mean, 0 * variance
    for t, (x, _, after) in enumerate(steps, 1):
        m, v, _ = moments(x)
        mean = decay * mean + (1 - decay) * m
        variance = decay * variance + (1 - decay) * v * factor
        weight = 1 - decay**t if zero_debiased else 1
        np.testing.assert_allclose(after[2], mean / weight, rtol=2e-4)
        np.testing.assert_allclose(after[3], variance / weight, rtol=2e-4)
