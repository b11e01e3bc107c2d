"""What the diagnosis asks a framework for: ``torch_impl.probing`` and ``keras_impl.probing`` answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

# the two implementations hold the same text
from torch_impl.evidence import Batch, Facts, Layer, Pass, Seen, Step

__all__ = ["Batch", "Facts", "Layer", "Pass", "Seen", "Side", "Statistics", "Step", "Subject"]

# call of a normalisation layer (bn, bn#2) -> mean and variance, float64 (C,)
Statistics = Mapping[str, tuple[np.ndarray, np.ndarray]]


class Subject(Protocol):
    """One person's model, and everything that can be asked of it. Nothing here draws a conclusion.

    A *switch* is one of ``dropout``, ``augmentation``, ``normalisation``, ``other``, ``objective``.
    """

    name: str
    # path of a module -> whether it was in training mode inside the person's own step; empty where nobody saw it
    modes: dict[str, bool]
    # names of the parameters that training's optimizers were seen to change; empty where nobody saw those
    trained: frozenset[str]

    def ready(self, source: Callable[[], Iterable[Any]]) -> None:
        """Make a model whose shapes wait for data ready, by the first batch; the person's own goes on waiting."""
        ...

    def kept(self) -> AbstractContextManager[None]:
        """Put all state back at the end, to the last bit, whatever happens, Ctrl-C included.

        Weights, buffers, modes and ``requires_grad`` of every module, hooks, gradients, the optimizer, metric
        states, random generators of Python, NumPy and the framework, seeds of dropout layers.
        """
        ...

    def state(self, trained: bool = True) -> dict[str, str]:
        """Hash all of that state, item by item: ``part:name`` -> hash.

        Parts are ``weights``, ``statistics`` (whatever else a layer keeps), ``modes``, ``gradients``,
        ``optimizer``, ``metrics``, ``random`` and ``other``. Without ``trained`` gradients and the optimizer, which
        training alone changes, are left out.
        """
        ...

    def layers(self, batches: list[Batch] | None = None, more: Sequence[Batch] = ()) -> list[Layer]:
        """Observe, in passes in training and in evaluation over a few batches, what acts differently.

        Without batches only what a layer does by itself is observed, on arrays made up for it. An objective of
        training's own may show on some samples alone: where those of the few batches agree they are compared on more.
        """
        ...

    def facts(self) -> Facts:
        """What the framework knows beside the layers."""
        ...

    def batch(self, raw: Any) -> Batch:
        """Unpack what the data gave."""
        ...

    def join(self, batches: list[Batch], index: np.ndarray) -> Batch:
        """Make a batch of some samples of several batches, counted through all of them."""
        ...

    def replayed(self, source: Callable[[], Iterable[Any]], seed: int) -> Iterator[Any]:
        """Iterate with generators seeded for the data alone, whatever a pass draws in between."""
        ...

    def present(self) -> set[str]:
        """The switches that are there, once `layers` has watched batches."""
        ...

    def evaluate(self, batches: Iterable[Batch], keep: bool = False, seed: int | None = None) -> Pass:
        """Evaluate as the person's own framework would: its modes, its averages; the state goes on.

        Nothing is put back, so that two calls show what an evaluation does. ``keep`` keeps outputs and targets;
        ``seed`` seeds all that could be random first, layers' own generators included.
        """
        ...

    def compiled(self, batches: Iterable[Batch]) -> Pass | None:
        """Evaluate as the compiler has it that the person's own evaluation goes through; None without one."""
        ...

    def nonfinite(self, batches: Iterable[Batch]) -> str | None:
        """Name the first layer whose output isn't finite in evaluation; None where all are."""
        ...

    def run(
        self,
        batches: Iterable[Batch],
        fit: frozenset[str],
        statistics: Statistics | None = None,
        collect: bool = False,
        seed: int = 0,
        keep: bool = False,
    ) -> Pass:
        """Pass over batches with the switches in ``fit`` as in training, the others as in evaluation.

        Nothing is updated: statistics, seeds and counters are put back after each batch. A batch's random
        numbers depend on ``seed`` and its place alone, so that each pass draws the same masks.

        Args:
            batches: as many as there are; they are passed one at a time.
            fit: the switches that stand as in training.
            statistics: what normalisation calls that differ between the two normalise with; the others
                do as in evaluation. None leaves them to the switch ``normalisation``.
            collect: fill in the pass's ``seen``, of all calls that differ. A pass that neither collects nor keeps
                may have no figure but the loss.
            seed: of the random numbers.
            keep: keep outputs and targets.
        """
        ...

    def reaching(self, batches: Iterable[Batch], name: str) -> Seen | None:
        """What reaches a normalisation call in evaluation; each pass ends there. None where none reaches it."""
        ...

    def population(self, batches: list[Batch]) -> tuple[Statistics, Pass | None]:
        """Pool what reaches each normalisation call that differs, each before it normalising with its own pool.

        All batches go side by side, so that there must not be more than memory holds. By call, not by layer. With
        the statistics comes the pass that normalised with them; None where its figures aren't to be had.
        """
        ...

    def scaled(self, batch: Batch, change: Callable[[np.ndarray], np.ndarray]) -> Batch:
        """The same batch with its float inputs changed, images as ``(N, H, W, C)``, others as they are."""
        ...

    def arrays(self, batch: Batch) -> dict[str, np.ndarray]:
        """Inputs (``x``, ``x.name``) and targets (``y``, ...) as arrays with samples first, images channels last."""
        ...


class Side(Protocol):
    """The module ``probing`` of an implementation."""

    Subject: Callable[..., Subject]
    is_model: Callable[[Any], bool]
