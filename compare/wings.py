"""What `compare` needs of an implementation: the same modules with the same functions, in either framework.

Models, optimizers and tensors are the framework's own and pass through here as `Any`; arrays are numpy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # the command line's help imports this file, and nothing heavy
    import numpy as np

Arrays: TypeAlias = "dict[str, np.ndarray]"  # by neutral name
Batches: TypeAlias = "Iterable[tuple[np.ndarray, np.ndarray]]"  # images (N, H, W, 3) and labels (N, 1)
Moments: TypeAlias = "Mapping[str, tuple[np.ndarray, np.ndarray]]"  # BN layer -> mean and variance, each (C,)


class Transfer(Protocol):
    """The module ``transfer``: backbone and head as one model."""

    def build(self, backbone: str, variant: str, width: float, **options: Any) -> Any: ...
    def head(self, channels: int, numerics: str, **options: Any) -> Any: ...
    def twin(self, model: Any) -> Any: ...
    def parts(self, model: Any) -> tuple[Any, Any]: ...
    def body(self, model: Any) -> Any: ...


class BNPolicy(Protocol):
    """The module ``bn_policy``: a policy put upon a model, and read off it."""

    Policy: Callable[..., Any]

    def apply(self, model: Any, policy: Any) -> None: ...


class Optimizers(Protocol):
    """The module ``optimizers``: optimizers that compute as Keras's, or as the framework's own."""

    def make(self, name: str, model: Any, learning_rate: float, numerics: str, **options: Any) -> Any: ...
    def adam(self, model: Any, learning_rate: float, numerics: str, release: str | None) -> Any: ...
    def penalty(self, model: Any, optimizer: Any = None) -> float: ...
    def configuration(self, model: Any, optimizer: Any) -> dict: ...
    def unrounded(self, model: Any, optimizer: Any) -> Any: ...


class Replay(Protocol):
    """The module ``replay``: an epoch again, with the same dropout masks, under other switches."""

    def random_state(self, model: Any) -> Any: ...
    def set_random_state(self, model: Any, state: Any) -> None: ...
    def replaying(self, model: Any, state: Any) -> AbstractContextManager[Any]: ...
    def measure(self, model: Any, batches: Batches, **switches: Any) -> dict[str, float]: ...
    def features(
        self, body: Any, batches: Batches, normalise: str = "evaluate", take: Any = None
    ) -> np.ndarray: ...


class Statistics(Protocol):
    """The module ``statistics``: what BN layers keep, and what the population has."""

    def batch_norms(self, model: Any) -> dict[str, Any]: ...
    def moving(self, model: Any) -> Moments: ...
    def constants(self, model: Any) -> dict[str, Any]: ...
    def population(self, model: Any, batches: Any, weights: Any = None, take: Any = None) -> Any: ...
    def recalibrate(self, model: Any, batches: Any, weights: Any = None) -> Any: ...
    def substituted(self, model: Any, statistics: Moments) -> AbstractContextManager[Any]: ...


class Training(Protocol):
    """The module ``training``: fit and evaluate."""

    NonFiniteLossError: type[ArithmeticError]

    def start(self, seed: int) -> None: ...
    def fit(self, model: Any, optimizer: Any, train: Callable[[int], Batches], **options: Any) -> Any: ...
    def evaluate(self, model: Any, batches: Batches) -> dict[str, float]: ...


class Tensors(Protocol):
    """The module ``batches``: arrays to tensors, and back."""

    def array(self, tensor: Any) -> np.ndarray: ...


class Names(Protocol):
    """The module ``names``: layers by the names that both frameworks share."""

    def of_layers(self, model: Any, kind: Any = object) -> dict[str, Any]: ...


class Weights(Protocol):
    """The module ``weights``: a model's arrays by neutral names."""

    def to_arrays(self, model: Any) -> Arrays: ...
    def from_arrays(self, model: Any, arrays: Mapping[str, np.ndarray]) -> None: ...
    def backbone_arrays(self, arrays: Mapping[str, np.ndarray]) -> Arrays: ...
    def check(self, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None: ...


class Tracing(Protocol):
    """The module ``tracing``: every layer's constants and output, and training step by step."""

    Training: Callable[[Any, Any], Any]

    def configuration(self, model: Any) -> dict[str, dict]: ...
    def forward(
        self, model: Any, images: np.ndarray, training: bool = False, reference: Arrays | None = None
    ) -> Arrays: ...


class Implementation(Protocol):
    """The modules that train a model, and the side that they are of: ``keras`` or ``torch``."""

    side: str
    transfer: Transfer
    batches: Tensors
    bn_policy: BNPolicy
    names: Names
    optimizers: Optimizers
    replay: Replay
    statistics: Statistics
    training: Training
    weights: Weights
    tracing: Tracing
