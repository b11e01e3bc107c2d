"""What a training shows of an epoch to somebody who only reads: losses, sizes, modes, which samples made a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from compare.diagnosis.looking import fingerprints
from compare.diagnosis.reported import Reported, read

# bytes of an epoch's inputs that are looked at; of more nobody could deal the batches again
LOOKED_AT = 2**28


class Seen:
    """An epoch as it was seen; `compare.diagnose` takes it as ``reported``.

    Attributes:
        modes: path of a module -> whether it was in training mode inside the last step.
        trained: names of the parameters that the steps of optimizers changed.
    """

    def __init__(self) -> None:
        self.modes: dict[str, bool] = {}
        self.trained: frozenset[str] = frozenset()
        self._losses: list[Any] = []
        self._sizes: list[int] = []
        self._figures: list[Mapping[str, Any]] = []
        self._batches: list[tuple[str, ...]] | None = []
        self._entered: tuple[str, ...] | None = None
        self._bytes = 0

    def __call__(self, loss: Any, n: int | None = None, **figures: Any) -> None:
        """Note a step: the loss of its batch, a number or a tensor, and how many samples that is a mean over.

        Args:
            loss: as the loop has it; a tensor is copied and read when the epoch is over.
            n: samples; where it isn't given, as many as entered the model.
            figures: other figures of the batch by name, such as ``accuracy``.

        Raises:
            ValueError: nobody can tell how many samples there were.
        """
        entered = self.step()
        if n is None and not entered:
            raise ValueError("seen(loss, n) needs n: the number of samples that the loss is a mean over")
        self._losses.append(_copied(loss))
        self._sizes.append(int(n) if n is not None else len(entered or ()))
        self._figures.append({name: _copied(value) for name, value in figures.items()})

    def step(self) -> tuple[str, ...] | None:
        """Note that a step is over, whoever knows its loss; return which samples it was made with."""
        entered, self._entered = self._entered, None
        if entered and self._batches is not None:
            self._batches.append(entered)
        else:
            self._batches = None
        return entered

    def enter(self, arrays: Sequence[np.ndarray]) -> None:
        """Note the inputs of a batch, samples first; where there are too many bytes of them none is kept."""
        self._bytes += sum(array.nbytes for array in arrays)
        if self._batches is None or self._bytes > LOOKED_AT:
            self._batches = self._entered = None
            return
        self._entered = fingerprints(arrays)

    @property
    def entered(self) -> bool:
        """Whether a batch has entered since the last step was noted."""
        return bool(self._entered)

    def reported(self, figures: Mapping[str, float]) -> Reported:
        """What was seen, beside figures that somebody else has reported."""
        return replace(
            read(figures),
            batch_size=self.params.get("batch_size"),
            losses=self.losses,
            modes=self.modes,
            trained=self.trained,
            batches=self.batches,
        )

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of each batch."""
        return tuple(float(value) for value in self._losses)

    @property
    def batches(self) -> tuple[tuple[str, ...], ...]:
        """Which samples made each batch, by the hash of their inputs; empty where that couldn't be seen."""
        return tuple(self._batches or ())

    @property
    def figures(self) -> dict[str, float]:
        """The loss and the other figures, means over all samples."""
        if not self._sizes:
            return {}
        found = {"loss": self._mean(self.losses)}
        for name in {name for step in self._figures for name in step}:
            found[name] = self._mean([float(step.get(name, np.nan)) for step in self._figures])
        return found

    @property
    def params(self) -> dict[str, int]:
        """The batch size, as a History has it."""
        return {"batch_size": max(self._sizes)} if self._sizes else {}

    def _mean(self, values: Sequence[float]) -> float:
        return float(np.average(values, weights=self._sizes))


def _copied(value: Any) -> Any:
    """A number, or a tensor that nothing changes any more; reading it now would make a device wait."""
    return value.detach().clone() if hasattr(value, "detach") else value
