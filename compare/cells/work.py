"""What goes to a worker with a cell, and what comes back. None of it is in the run directory yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from compare.cells.settings import Settings
from compare.data import ImageData
from compare.gap.records import CellResult


@dataclass(frozen=True)
class Start:
    """The weights that every cell starts from, and what their file says of them.

    Attributes:
        path: the run's ``weights.safetensors``.
        variant: of the backbone.
        width: what all channels are scaled by.
        preprocessing: what the weights expect of images.
    """

    path: Path
    variant: str
    width: float
    preprocessing: str

    @classmethod
    def read(cls, path: Path) -> Start:
        """Read what a file says of its weights."""
        with safe_open(path, "numpy") as file:
            said = file.metadata()
        return cls(path, said["variant"], float(said["width"]), said["preprocessing"])

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights, by neutral name."""
        return load_file(self.path)


@dataclass(frozen=True)
class Task:
    """What the cells of a run share.

    Attributes:
        data: read and checked once, by the process that opened the run; workers decode images as they need them.
    """

    settings: Settings
    start: Start
    data: ImageData

    @property
    def files(self) -> Sequence[Path]:
        """What a worker reads: the weights, then the images."""
        return [self.start.path, *(self.data.root / name for name in self.data.names)]

    def moved(self, folder: Path) -> Task:
        """The same on another machine, with the files in ``folder``, each called by its place in `files`."""
        names = tuple(str(number) for number in range(1, 1 + len(self.data.names)))
        start = replace(self.start, path=folder / "0")
        return replace(self, start=start, data=replace(self.data, root=folder, names=names))


@dataclass(frozen=True)
class Trained:
    """What a cell comes to.

    Attributes:
        checkpoint: the best epoch's weights as a safetensors file; None where no epoch was.
    """

    result: CellResult
    checkpoint: bytes | None


@dataclass(frozen=True)
class Timing:
    """What differs from one run to the next.

    Attributes:
        worker: its process's number.
        started: local time.
        peak_memory_mb: that the process had had by the end of the cell.
    """

    worker: int
    started: str
    seconds: float
    peak_memory_mb: int
