"""What is to be checked: a plain record, and what follows from it for both models alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from compare.data.preprocess import preprocess
from compare.parity import inputs
from compare.spec import BACKBONES, POLICIES, Policy

EVALUATED = 1000  # number of the batch that is evaluated; no step trains on it


@dataclass(frozen=True)
class Check:
    """One parity check: a model, a policy, an optimizer and how they are run.

    Attributes:
        weights: ``random``, or as given to ``--weights``.
        epsilon: of batch normalisation, where it isn't the variant's own.
        momentum: of SGD.
        weight_decay: of AdamW (decoupled), or of SGD (coupled: Keras's L2 of half of it on the kernels).
        steps: how many training steps, from the same state and running free.
        classes: that the head tells apart.
        frameworks: the reference, and the one that is compared with it.
        device: that both compute on: ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    """

    backbone: str = "resnet50"
    variant: str = "v1"
    width: float = 1.0
    weights: str = "random"
    preprocessing: str = "caffe"
    policy: str = "fine-tune"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    numerics: str = "matched"
    dtype: str = "float64"
    image_size: int = 64
    batch_size: int = 4
    steps: int = 10
    seed: int = 0
    epsilon: float | None = None
    classes: int = 2
    frameworks: tuple[str, str] = ("keras", "torch")
    device: str = "cpu"

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]

    @property
    def outputs(self) -> int:
        """Of the head: the probability of the positive class, or of each of more than two."""
        return 1 if self.classes == 2 else self.classes

    def images(self, batch: int) -> np.ndarray:
        """Preprocessed images of a batch, float32 ``(batch_size, image_size, image_size, 3)``."""
        return preprocess(self.pixels(batch), self.preprocessing)

    def pixels(self, batch: int) -> np.ndarray:
        """The same before preprocessing, uint8."""
        return inputs.random_images(self.batch_size, self.image_size, self.seed, batch)

    def labels(self) -> np.ndarray:
        """Labels of any batch, float32 ``(batch_size, outputs)``."""
        return inputs.labels(self.batch_size, self.classes)

    @property
    def rounds(self) -> bool:
        """Whether the optimizers round their constants to float32, as Keras does on TensorFlow alone.

        PyTorch's side can take that over. Keras's other backends can't, so beside them TensorFlow's is told not to.
        """
        return set(self.frameworks) == {"keras", "torch"}

    @property
    def facts(self) -> Policy:
        """The policy's record."""
        return POLICIES[self.policy]

    def no_gradient(self, name: str) -> bool:
        """Whether a parameter's true gradient is zero: a convolution's bias before batch statistics."""
        batch = BACKBONES[self.backbone].has_bn and self.facts.fit_statistics == "batch"
        return batch and name.endswith("_conv/bias")

    def as_dict(self) -> dict:
        """The check as JSON can hold it."""
        return asdict(self)
