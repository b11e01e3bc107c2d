"""What a person asks of a pair, and what it came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compare.pair.arrays import Map
from compare.pair.references import Reference
from compare.parity.figures import Stage
from compare.parity.stages import STAGES as STAGES_OF_ALL

Report = Callable[[str], None]
# those of the reference networks' proof, and what the defaults make of a step
STAGES = {**{name: STAGES_OF_ALL[name] for name in (
    "configuration", "forward", "forward-batch", "loss", "gradients", "statistics", "parameters", "evaluation", "free",
)}, "native": "PyTorch's own step, as predicted"}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Attributes:
        source: whose weights both get, ``keras`` or ``torch``.
        shape: ``--input``; None takes what the Keras model says.
        data: a person's own, in place of random ones.
        loss, optimizer: names; None takes what the models have.
    """

    keras: Reference
    torch: Reference
    source: str = "keras"
    map: Path | None = None
    shape: str | None = None
    data: str | None = None
    loss: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    steps: int = 10
    dtype: str = "float64"
    numerics: str = "native"
    seed: int = 0


@dataclass
class Outcome:
    """What the check came to.

    Attributes:
        verdict: ``same``, ``differs`` or ``unmapped``.
        first: the first departure, as JSON has it.
        dtype: what both computed in.
    """

    verdict: str
    map: Map
    stages: list[Stage] = field(default_factory=list)
    first: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    native: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    peak_memory: int = 0
    dtype: str = "float64"
