"""What each policy must do, as checks that both frameworks' tests call with their own modules."""

import numpy as np

from compare.spec import POLICIES
from tests.support.arrays import random_arrays

KINDS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
BN = "conv1_bn"  # the first BN layer: its input doesn't depend on any other one's statistics


def batches():
    """Four batches unlike the data of the weights' moving statistics."""
    rng = np.random.default_rng(3)
    return [
        (
            rng.normal(1.5, 2.0, (6, 32, 32, 3)).astype(np.float32),
            (np.arange(6) % 2)[:, None].astype(np.float32),
        )
        for _ in range(4)
    ]


def train(side, policy_name, numerics="native", first_losses=None):
    """Train a small ResNet50 without dropout under a policy; return it, and its arrays before and after.

    The loss of the first batch, which is computed from the arrays before, goes to ``first_losses[policy_name]``.
    """

    def keep_first(epoch, step, loss):
        if first_losses is not None and step == 0:
            first_losses[policy_name] = loss

    side.training.start(0)
    model = side.transfer.build("resnet50", "v1", 0.0625, numerics=numerics, dropout=0.0)
    before = random_arrays(side.weights.to_arrays(model))
    side.weights.from_arrays(model, before)
    side.bn_policy.apply(model, side.bn_policy.Policy(**POLICIES[policy_name].facts))
    optimizer = side.optimizers.adam(model, 1e-3, numerics)
    side.training.fit(model, optimizer, lambda epoch: batches(), epochs=1, after_step=keep_first)
    return model, before, side.weights.to_arrays(model)


def changed_kinds(before, after):
    """For the head and the backbone: the kinds of arrays of which all changed, and of which none did."""
    result = {}
    for part in ("head", "backbone"):
        changed, kept = set(), set()
        for name, array in before.items():
            if name.startswith("head_") == (part == "head"):
                same = np.array_equal(array, after[name])
                (kept if same else changed).add(name.rpartition("/")[2])
        if changed & kept:
            raise AssertionError(f"of {changed & kept} in the {part} some arrays changed and some didn't")
        result[part] = changed
    return result


def expected_kinds(policy):
    """What the facts of a policy say must change in the backbone."""
    kinds = {"head": set(), "bn": {"gamma", "beta"}, "all": set(KINDS[:4]), "all-but-bn": {"kernel", "bias"}}
    return kinds[policy.trains] | ({"moving_mean", "moving_variance"} if policy.updates else set())


def normalised(x, statistics, arrays, epsilon=1.001e-5):
    """BN's output for its input ``(N, H, W, C)``, from batch or moving statistics, computed in float64."""
    x = x.astype(np.float64)
    if statistics == "batch":
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    else:
        mean, variance = arrays[f"{BN}/moving_mean"], arrays[f"{BN}/moving_variance"]
    return arrays[f"{BN}/gamma"] * (x - mean) / np.sqrt(variance + epsilon) + arrays[f"{BN}/beta"]
