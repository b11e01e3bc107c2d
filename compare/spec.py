"""The words of the project as plain records: behaviours, policies, numerics, cells. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Statistics = Literal["batch", "moving"]


class InputError(ValueError):
    """Something a person gave can't be used. The message is one line; the command line exits with 2."""


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier.

    Attributes:
        label: what people call it.
        has_bn: whether it has BN layers. Without any, policies that differ only in BN are one training.
        channels: of its output, at full width.
    """

    name: str
    label: str
    has_bn: bool
    channels: int


BACKBONES = {
    backbone.name: backbone
    for backbone in (Backbone("resnet50", "ResNet50", True, 2048), Backbone("vgg16", "VGG16", False, 512))
}
NUMERICS = ("native", "matched")
# of the ResNet50, and what each adds to the variance: keras.applications', torchvision's, and those of Keras to 2.3.1
EPSILONS = {"v1": 1.001e-5, "v1.5": 1e-5, "v1-old": 1e-3, "v1-old-unpadded": 1e-3, "v1-old-same": 1e-3}
UNPADDED = ("v1-old-unpadded", "v1-old-same")  # their first pooling
# the two sides: whose code it is. What computes on a side is one of `compare.frameworks.FRAMEWORKS`
SIDES = {"keras": "Keras", "torch": "PyTorch"}
# what people call them
NAMES = {**SIDES, **{name: own.label for name, own in BACKBONES.items()}}
TRAINS = {"head": "head", "bn": "head, gamma, beta", "all": "everything", "all-but-bn": "all but gamma, beta"}
# share of the old moving statistics that a step keeps, by side
DECAY = {"native": {"keras": 0.99, "torch": 0.9}, "matched": {"keras": 0.99, "torch": 0.99}}
# share of the initial or pretrained statistics that may be left of a moving average that has arrived
LAG = 0.05


@dataclass(frozen=True)
class Behaviour:
    """What the BN layers of a model do in a training and in its evaluation, as measured; a policy is one with a name.

    Attributes:
        fit_statistics: what training normalises with: ``batch`` or ``moving``; where it was measured, it can be
            another word.
        updates: whether training moves the moving statistics.
        evaluate_statistics: what evaluation normalises with.
        affine_trains: whether gamma and beta train.
        body_trains: whether the layers around them train.
        reestimated: whether the moving statistics are replaced by the population's before evaluation.
        decay: share of the old moving statistics that a step keeps; None where nobody said.
    """

    fit_statistics: str
    updates: bool
    evaluate_statistics: str
    affine_trains: bool = False
    body_trains: bool = False
    reestimated: bool = False
    decay: float | None = None

    @property
    def frozen(self) -> bool:
        """Whether nothing trains but what comes after these layers."""
        return not (self.affine_trains or self.body_trains)


@dataclass(frozen=True)
class Policy:
    """What a BN policy does, as facts, and how each framework spells it.

    Attributes:
        trains: ``head``; ``bn`` (head, gamma, beta); ``all``; ``all-but-bn``.
        fit_statistics: what training normalises with.
        updates: whether training moves the moving statistics.
        evaluate_statistics: what evaluation normalises with.
        reestimate: whether the moving statistics are replaced by the population's ``before-fit`` or
            ``before-evaluate``; None where they aren't.
        features: whether the backbone runs once, ahead of training.
        who: who gets this, and by writing what.
        keras, torch: the spelling in each framework.
    """

    name: str
    trains: Literal["head", "bn", "all", "all-but-bn"]
    fit_statistics: Statistics
    updates: bool
    evaluate_statistics: Statistics
    who: str
    keras: str
    torch: str
    reestimate: Literal["before-fit", "before-evaluate"] | None = None
    features: bool = False

    @property
    def facts(self) -> dict:
        """The four facts that an implementation's own ``bn_policy.Policy`` is made of."""
        names = ("trains", "fit_statistics", "updates", "evaluate_statistics")
        return {name: getattr(self, name) for name in names}

    @property
    def behaviour(self) -> Behaviour:
        """What the BN layers do under this policy."""
        return Behaviour(
            self.fit_statistics,
            self.updates,
            self.evaluate_statistics,
            affine_trains=self.trains in ("bn", "all"),
            body_trains=self.trains in ("all", "all-but-bn"),
            reestimated=self.reestimate == "before-evaluate",
        )

    @property
    def normalises(self) -> str:
        """What the BN layers normalise with, in one line."""
        moving = "updates" if self.updates else "keeps"
        again = f", re-estimated {self.reestimate.replace('-', ' ')}" if self.reestimate else ""
        return (
            f"fit uses {self.fit_statistics} statistics and {moving} the moving ones{again}; "
            f"evaluate uses {self.evaluate_statistics} ones"
        )

    @property
    def does(self) -> str:
        """What the policy trains and normalises with, in one line."""
        return f"trains {TRAINS[self.trains]}; {self.normalises}"

    def normalises_as(self, behaviour: Behaviour) -> bool:
        """Whether BN layers that do this normalise, and keep their statistics, as under this policy."""
        own = self.behaviour
        return (own.fit_statistics, own.updates, own.evaluate_statistics) == (
            behaviour.fit_statistics,
            behaviour.updates,
            behaviour.evaluate_statistics,
        )

    def matches(self, behaviour: Behaviour) -> bool:
        """Whether BN layers that do this are under this policy, as far as one layer can show it.

        Features extracted once and re-estimated statistics are nothing that a layer does.
        """
        if self.features or self.reestimate:
            return False
        return self.normalises_as(behaviour) and self.behaviour.affine_trains == behaviour.affine_trains

    @property
    def fixed_in_fit(self) -> bool:
        """Whether training leaves the backbone's output for an image as it was, so that once is enough."""
        return self.trains == "head" and self.fit_statistics == "moving" and not self.updates

    @property
    def fixed_in_evaluate(self) -> bool:
        """Whether evaluation's features of an image stay the same through the whole of training."""
        return self.trains == "head" and self.evaluate_statistics == "moving" and not self.updates

    @property
    def apart_in_evaluate(self) -> bool:
        """Whether evaluation's features of an image don't depend on what else is in its batch."""
        return self.evaluate_statistics == "moving"


POLICIES = {
    policy.name: policy
    for policy in (
        Policy(
            "frozen-batch-stats", "head", "batch", False, "moving",
            who="Keras 2.1.3-2.3.1 and tf.keras 1.15: layer.trainable = False; Lightning: freeze(train_bn=False)",
            keras="bn.momentum = 1.0; bn.gamma.trainable = bn.beta.trainable = False",
            torch="bn.requires_grad_(False); bn.track_running_stats = False  # after construction",
        ),
        Policy(
            "frozen-drifting", "head", "batch", True, "moving",
            who="Keras <= 2.1.2: layer.trainable = False; PyTorch: requires_grad_(False) under model.train()",
            keras="bn.gamma.trainable = bn.beta.trainable = False",
            torch="bn.requires_grad_(False)",
        ),
        Policy(
            "frozen", "head", "moving", False, "moving",
            who="TF 2 and Keras 3: layer.trainable = False; PyTorch: bn.eval() after every model.train()",
            keras="bn.trainable = False",
            torch="bn.requires_grad_(False); bn.eval()  # after every model.train()",
        ),
        Policy(
            "bn-trainable", "bn", "batch", True, "moving",
            who="the Stack Overflow answer: make the BN layers trainable",
            keras="layer.trainable = isinstance(layer, BatchNormalization)",
            torch="p.requires_grad_(False)  # of all but BN's weight and bias",
        ),
        Policy(
            "features", "head", "moving", False, "moving", features=True,
            who="extract features first, train a head on them",
            keras="features = base.predict(images); head.fit(features, labels)",
            torch="features = base.eval()(images)  # then train the head on them",
        ),
        Policy(
            "fine-tune", "all", "batch", True, "moving",
            who="both frameworks' default once the base is unfrozen",
            keras="base.trainable = True",
            torch="model.train()",
        ),
        Policy(
            "fine-tune-bn-frozen", "all-but-bn", "moving", False, "moving",
            who="Keras's fine-tuning guide, Detectron",
            keras="base.trainable = True; bn.trainable = False  # afterwards, layer by layer",
            torch="bn.requires_grad_(False); bn.eval()  # after every model.train()",
        ),
        Policy(
            "batch-stats", "head", "batch", False, "batch",
            who="'use the mini-batch statistics for evaluation too'; PyTorch: track_running_stats=False",
            keras="keras_impl.layers.BatchNorm(evaluates_with='batch')  # Keras itself has no spelling",
            torch="bn.track_running_stats = False; bn.train()  # in evaluation, too",
        ),
        Policy(
            "adapted", "head", "moving", False, "moving", reestimate="before-fit",
            who="AdaBN; 'reset the moving statistics' to the new data's",
            keras="keras_impl.statistics.recalibrate(model, batches)  # then as frozen",
            torch="torch_impl.statistics.recalibrate(model, batches)  # then as frozen",
        ),
        Policy(
            "fine-tune-recalibrated", "all", "batch", True, "moving", reestimate="before-evaluate",
            who="PreciseBN",
            keras="base.trainable = True; keras_impl.statistics.recalibrate(model, batches)  # before evaluate",
            torch="model.train(); torch_impl.statistics.recalibrate(model, batches)  # before evaluation",
        ),
    )
}  # fmt: skip

DEFAULT_POLICIES = (
    "frozen-batch-stats",
    "frozen-drifting",
    "frozen",
    "bn-trainable",
    "features",
    "fine-tune",
)


@dataclass(frozen=True)
class Cell:
    """One training: framework x backbone x policy x numerics x seed."""

    framework: str
    backbone: str
    policy: str
    numerics: str
    seed: int

    @property
    def name(self) -> str:
        """The cell's folder in a run directory."""
        return f"{self.framework}-{self.policy}-{self.numerics}-seed{self.seed}"


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 image``, ``2 images``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def some(names: Sequence[str], most: int = 4) -> str:
    """List names, of many the first: ``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def choose(kind: str, value: str, allowed) -> str:
    """Return ``value`` if it is one of ``allowed``.

    Raises:
        InputError: it isn't; the line names the nearest that is.
    """
    if value in allowed:
        return value
    near = get_close_matches(value, allowed, 1, 0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown {kind} {value!r}: {hint}It can be {', '.join(allowed)}")
