"""A trained cell as a diagnosis wants it: what its layers do, its epoch's samples, and passes that cost little.

What a person's model must be observed for is known of a cell: its policy says what its layers do, and tests hold that
against what they were seen to do; its samples are dealt at random, and prepared as its weights want them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from compare.diagnosis.looking import Look
from compare.diagnosis.passes import Passes
from compare.diagnosis.side import Batch, Layer, Pass, Statistics
from compare.gap.evaluations import Whole
from compare.spec import Behaviour

NOBODY = np.zeros(0)


class Trained:
    """The part of `diagnosis.side.Subject` that a cell's diagnosis asks for: its passes.

    Args:
        whole: the model at the end of an epoch, and the epoch's samples.
        behaviour: of the BN layers in that training.
        name: of the cell.

    Attributes:
        parts: whether BN normalises otherwise in training than in evaluation.
    """

    def __init__(self, whole: Whole, behaviour: Behaviour, name: str) -> None:
        self.whole, self.behaviour, self.name = whole, behaviour, name
        parts = (behaviour.fit_statistics, behaviour.evaluate_statistics) == ("batch", "moving")
        self.parts = parts and bool(whole.side.statistics.batch_norms(whole.model))

    @property
    def switches(self) -> frozenset[str]:
        """What training and evaluation use differently."""
        return frozenset({"dropout", "normalisation"} if self.parts else {"dropout"})

    def kept(self) -> AbstractContextManager[None]:
        """Put all state back at the end: each pass does so by itself."""
        return nullcontext()

    def run(
        self,
        batches: Any,
        fit: frozenset[str],
        statistics: Statistics | None = None,
        collect: bool = False,
        seed: int = 0,
        keep: bool = False,
    ) -> Pass:
        """Pass over the epoch's batches with the switches in ``fit`` as in training: figures, and no single steps.

        Dropout draws the masks that the epoch drew, whatever the ``seed``.
        """
        dropout = "dropout" in fit
        if statistics is not None:
            return Pass([], dict(self.whole.under(statistics, dropout)))
        figures = dict(self.whole.in_fit(dropout))
        return Pass([], figures, self.whole.seen_in_fit() if collect else {})

    def population(self, batches: Any) -> tuple[Statistics, None]:
        """The population's statistics, of as many of the epoch's samples as the bounds allow."""
        return self.whole.population, None

    def layers(self, steps: int) -> list[Layer]:
        """What the BN layers do, and the dropout beside them.

        Args:
            steps: training steps so far.
        """
        statistics, does = self.whole.side.statistics, self.behaviour
        stored, constants = statistics.moving(self.whole.model), statistics.constants(self.whole.model)
        found: list[Layer] = []
        for name, layer in statistics.batch_norms(self.whole.model).items():
            (mean, variance), (decay, epsilon) = stored[name], constants[name]
            found.append(
                Layer(
                    name,
                    type(layer).__name__,
                    "normalisation",
                    switch=self.parts,
                    trains=does.affine_trains,
                    parameters=True,
                    frozen=not (does.affine_trains or does.body_trains),
                    fit=does.fit_statistics,
                    evaluate=does.evaluate_statistics,
                    moves=does.updates,
                    virgin=bool((mean == 0).all() and (variance == 1).all()),
                    calls=1,
                    decay=decay if does.updates else None,
                    epsilon=epsilon,
                    steps=steps if does.updates else None,
                    mean=mean,
                    variance=variance,
                    order=len(found),
                )
            )
        return [*found, *self._dropouts(len(found))]

    def _dropouts(self, order: int) -> Iterator[Layer]:
        for name, layer in self.whole.side.names.of_layers(self.whole.model).items():
            kind = type(layer).__name__
            if "dropout" in kind.lower():
                yield Layer(name, kind, "dropout", True, fit="on", evaluate="off", calls=1, order=order)


class Epoch(Passes):
    """The batches of an epoch, by their sizes alone: `Trained` passes them itself.

    Args:
        sizes: how many samples each batch has.
    """

    prepared = True

    def __init__(self, sizes: Sequence[int]) -> None:
        self.look = Look(
            list(sizes), NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, {}, None, weighted=False
        )
        self.held = None
        self.replayed = self.twice = self.ordered = self.dealt = True

    def __iter__(self) -> Iterator[Batch]:
        return iter(())

    @property
    def whole(self) -> bool:
        """Whether all batches are held: none is."""
        return False

    def some(self, most: int) -> list[Batch]:
        """No batch."""
        return []
