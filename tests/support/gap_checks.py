"""Gaps with known causes in a small network, for both frameworks' tests to call with their own modules and network.

The network: ``conv`` (3x3, no padding, no bias: its gradient would be rounding noise, of which Adam makes full-size
steps, in each framework its own), ``bn``, relu, mean over positions, ``head_dense_1``, relu, dropout,
``head_dense_2``. Its arrays come from here, so that it is the same in both frameworks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.diagnosis.records import STORED
from compare.gap.evaluations import Whole
from compare.gap.explaining import explain
from compare.spec import POLICIES

AGREEING = ("fine-tune", "bn-trainable", "frozen-batch-stats", "frozen-drifting", "frozen", "batch-stats")
STEPS = 6


def batches(sizes=(8,) * STEPS, scale=1.0, shift=0.0, seed=0):
    """Batches of images (N, 6, 6, 3), each with a mean and a spread of its own, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    labels = (rng.random((n, 1)) < 0.5).astype(np.float32)
    centre = rng.normal(0.5, 0.7, (n, 1, 1, 3)) + labels[:, :, None, None] * [0.8, -0.5, 0.3]
    images = centre + rng.normal(0, 1, (n, 6, 6, 3)) * rng.uniform(0.5, 1.5, (n, 1, 1, 3))
    images = (images * scale + shift).astype(np.float32)
    ends = np.cumsum(sizes)[:-1]
    return list(zip(np.split(images, ends), np.split(labels, ends), strict=True))


def arrays(like, seed=1):
    """Weights that matter, for the names and shapes of ``like``; moving statistics unlike the data's."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, array in sorted(like.items()):
        fan_in = np.prod(array.shape[:-1])
        if name.endswith("/kernel"):
            found[name] = rng.normal(0, 1.5 / np.sqrt(fan_in), array.shape).astype(np.float32)
        else:
            low = 0.5 if name.endswith(("gamma", "moving_variance")) else -0.3
            found[name] = rng.uniform(low, low + 0.8, array.shape).astype(np.float32)
    return found


def averages(side, model, train):
    """The mean of the batches' statistics, where each batch normalises with its own: layer -> mean and variance."""
    stored = []
    side.replay.measure(model, train, normalise="fit", take=stored.append)
    return {
        name: tuple(np.mean([batch[name][part] for batch in stored], axis=0) for part in range(2))
        for name in stored[0]
    }


def put(side, model, statistics):
    """Store statistics in a model's BN layers."""
    held = side.weights.to_arrays(model)
    for name, pair in statistics.items():
        for kind, values in zip(("moving_mean", "moving_variance"), pair, strict=True):
            held[f"{name}/{kind}"] = values.astype(np.float32)
    side.weights.from_arrays(model, held)


@dataclass
class Case:
    """A training that leaves gaps.

    Attributes:
        side: the framework's modules.
        build: makes the small network, with that dropout rate.
        policy: a BN policy's name.
        recalibrate: whether the moving statistics are the training data's to begin with.
        arrived: whether they are the mean of the batches' statistics to begin with.
        last_only: whether only the last epoch is explained.
    """

    side: Any
    build: Any
    policy: str
    dropout: float = 0.0
    learning_rate: float = 0.0
    epochs: int = 1
    recalibrate: bool = False
    arrived: bool = False
    last_only: bool = False

    def run(self, train):
        """Train and return a list of (fit's figures, evaluate's, the explanation), an epoch each."""
        side, policy = self.side, POLICIES[self.policy]
        side.training.start(0)
        self.model = model = self.build(self.dropout)
        side.weights.from_arrays(model, arrays(side.weights.to_arrays(model)))
        if self.recalibrate:
            side.statistics.recalibrate(model, train)
        if self.arrived:
            put(side, model, averages(side, model, train))
        side.bn_policy.apply(model, side.bn_policy.Policy(**policy.facts))
        random, found = [side.replay.random_state(model)], []

        def after_epoch(epoch, logs):
            if self.last_only and epoch < self.epochs - 1:
                random.append(None)
                if epoch == self.epochs - 2:
                    random[-1] = side.replay.random_state(model)
                return logs["loss"]
            evaluate = side.training.evaluate(model, train)
            place = {"epoch": epoch + 1, "steps": (epoch + 1) * len(train)}
            trained = Whole(side, model, train, random[epoch])
            before = side.weights.to_arrays(model)
            explanation = explain(trained, logs, evaluate, policy.behaviour, **place)
            found.append((dict(logs), evaluate, explanation))
            random.append(side.replay.random_state(model))
            for name, array in side.weights.to_arrays(model).items():
                np.testing.assert_array_equal(array, before[name])
            return logs["loss"]

        optimizer = side.optimizers.adam(model, self.learning_rate, "matched")
        side.training.fit(
            model, optimizer, lambda epoch: train, epochs=self.epochs, patience=99, after_epoch=after_epoch
        )
        return found


def values(explanation, metric="loss"):
    return {name: term.value for name, term in explanation.terms[metric].items()}


def stored(explanation, metric="loss"):
    """What of the gap comes from what the BN layers have stored, whatever its cause is called."""
    return sum(value for name, value in values(explanation, metric).items() if name in STORED)


def assert_alone(explanation, planted, least=1e-2):
    """One term is the gap; every other is 0."""
    found = values(explanation)
    assert abs(found.pop(planted)) > least
    assert max(map(abs, found.values()), default=0.0) < 1e-6, found


def planted(side, build):
    """The term's name -> the explanation of a training in which only that cause is at work."""
    whole = [tuple(np.concatenate(parts) for parts in zip(*batches(), strict=True))]
    cases = {
        "weights-moved": (Case(side, build, "frozen", learning_rate=1e-2), batches()),
        "dropout": (Case(side, build, "frozen", dropout=0.5), batches()),
        "batch-noise": (Case(side, build, "frozen-batch-stats", arrived=True), batches()),
        "foreign-statistics": (Case(side, build, "frozen-batch-stats"), whole),
    }
    return {term: case.run(train)[-1] for term, (case, train) in cases.items()}


def everything(side, build):
    """Three epochs in which all causes are at work: by policy, the explanations."""
    settings = {"dropout": 0.4, "learning_rate": 3e-3, "epochs": 3}
    return {
        policy: [
            explanation
            for _, _, explanation in Case(side, build, policy, **settings).run(batches((8, 8, 8, 8, 8, 5)))
        ]
        for policy in AGREEING
    }
