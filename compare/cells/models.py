"""The transfer model of a process: one serves all cells that start from the same, and its graphs serve them, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compare.cells.work import Start
from compare.frameworks import Framework
from compare.gap.evaluations import Parts
from compare.spec import POLICIES, Cell
from compare.weights.head import head_arrays
from compare.wings import Implementation

AS_BUILT = POLICIES["fine-tune"]  # what a policy sets is then as if none had been set


class Models:
    """The model that this process has built last, and what was made of it.

    To build one and to trace its evaluation takes Keras 5 seconds, half of what a short cell takes.
    """

    def __init__(self) -> None:
        self._key: Any = None
        self._model: Any = None
        self._random: Any = None
        self._parts: dict[str, Parts] = {}

    def start(
        self, framework: Framework, cell: Cell, start: Start, release: str | None = None, outputs: int = 1
    ) -> Any:
        """Return the cell's transfer model as it is when it has just been built, with the weights that it starts from.

        Args:
            release: the old Keras whose arithmetic it has.
            outputs: of the head.
        """
        side = framework.implementation
        key = (replace(cell, policy=AS_BUILT.name), start.variant, start.width, release, outputs)
        if key != self._key:
            self._key, self._model, self._random, self._parts = key, None, None, {}
        if self._model is None:
            side.training.start(cell.seed)
            options = {"numerics": cell.numerics, "seed": cell.seed, "release": release, "outputs": outputs}
            model = side.transfer.build(cell.backbone, start.variant, start.width, **options)
            self._model = framework.placed(model)
            self._random = side.replay.random_state(self._model)
        side.replay.set_random_state(self._model, self._random)
        side.bn_policy.apply(self._model, side.bn_policy.Policy(**AS_BUILT.facts))
        backbone, head = side.transfer.parts(self._model)
        side.weights.from_arrays(backbone, start.arrays())
        side.weights.from_arrays(head, head_arrays(side.weights.to_arrays(head), cell.seed))
        return self._model

    def parts(self, side: Implementation, evaluate_statistics: str) -> Parts:
        """Take the model apart: once for each kind of evaluation, since a graph has one.

        Args:
            evaluate_statistics: what BN normalises with in `evaluate`, as the policy that it is under has it.
        """
        if evaluate_statistics not in self._parts:
            self._parts[evaluate_statistics] = Parts.of(side, self._model)
        return self._parts[evaluate_statistics]
