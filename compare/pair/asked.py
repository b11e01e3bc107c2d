"""What a person asks of a pair, and what it came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(frozen=True)
class First:
    """Where the two models part first.

    Attributes:
        stage: one of `STAGES`.
        keras, torch: the layer, the module; empty where that model has nothing there.
        cause: in a word; ``unknown`` where nothing that was tried makes the difference go away.
        figure: how far they lie apart there, relative; None where there is no figure.
        bar: what that may come to.
        tried: the causes that were tried.
        text: what is different, as the end of a sentence.
        code: a line that makes PyTorch's model equal; empty where there is none.
    """

    stage: str
    keras: str
    torch: str
    cause: str
    figure: float | None
    bar: float
    tried: list[str]
    text: str
    code: str


@dataclass
class Outcome:
    """What the check came to.

    Attributes:
        verdict: ``same``, ``differs`` or ``unmapped``.
        first: where the two part first; None where they don't.
        dtype: what both computed in.
    """

    verdict: str
    map: Map
    stages: list[Stage] = field(default_factory=list)
    first: First | None = None
    notes: list[str] = field(default_factory=list)
    native: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    peak_memory: int = 0
    dtype: str = "float64"

    def parts(self, at: First) -> None:
        """Note where the two part, unless they parted before."""
        self.first = self.first or at
