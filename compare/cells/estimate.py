"""What a run takes: before it starts roughly, from what cells took on one machine; then from its own cells' times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compare.cells.courses import can_follow, course
from compare.cells.settings import Settings
from compare.spec import POLICIES, Cell

# Seconds a cell took, roughly, one thread a worker; on JAX and for Keras on PyTorch guessed from short runs:
# `MEASURED_STEPS` steps, quarter width, 96 px, batches of 32.
COSTS = {
    "keras": {"all": 40, "bn": 29, "batch": 22, "moving": 3},
    "keras-jax": {"all": 40, "bn": 29, "batch": 22, "moving": 3},
    "keras-torch": {"all": 22, "bn": 18, "batch": 12, "moving": 1},
    "torch": {"all": 22, "bn": 18, "batch": 12, "moving": 1},
}
MEASURED_STEPS = 140
# What a cell takes of its cost where it goes by what another one's `fit` did: it is evaluated and explained alone.
FOLLOWING = 0.25
# At full width there are 16 times as many products; a machine makes them twice as fast in larger arrays.
WIDTH_POWER = 1.5
PART = 0.2  # of all work: what must have been timed before it tells of the rest
LONG = 3600.0  # seconds: who asks for more on a CPU is told what makes it shorter


def cost(cell: Cell) -> int:
    """Estimate how long a cell takes, in the units of `COSTS`."""
    policy, costs = POLICIES[cell.policy], COSTS[cell.framework]
    if policy.trains.startswith("all"):
        return costs["all"]
    return costs["bn"] if policy.trains == "bn" else costs[policy.fit_statistics]


def costs(cells: Sequence[Cell], settings: Settings) -> dict[Cell, float]:
    """Estimate how long cells take, in the units of `COSTS`: of those that one training serves, one trains."""
    trained, found = set(), {}
    for cell in sorted(cells, key=lambda cell: can_follow(cell, settings)):
        follows = can_follow(cell, settings) and course(cell) in trained
        trained.add(course(cell))
        found[cell] = cost(cell) * (FOLLOWING if follows else 1)
    return found


def seconds(cells: Sequence[Cell], settings: Settings, steps: int, width: float, jobs: int) -> float:
    """Estimate how long cells take, give or take a factor of two.

    Args:
        cells: those that are still to be run.
        settings: what they share.
        steps: batches an epoch.
        width: of the backbone, 1 for the full network.
        jobs: how many cells run at a time, a core each.
    """
    images = steps * settings.epochs * settings.batch_size / (MEASURED_STEPS * 32)
    pixels, channels = (settings.image_size / 96) ** 2, (width / 0.25) ** WIDTH_POWER
    return sum(costs(cells, settings).values()) * images * pixels * channels / jobs


def sentence(cells: Sequence[Cell], settings: Settings, steps: int, width: float, jobs: int) -> str:
    """Say how much there is to do and roughly how long it takes; of hours, what would make them fewer."""
    expected = seconds(cells, settings, steps, width, jobs)
    said = f"{steps * settings.epochs} steps each, roughly {duration(expected)} on a CPU"
    if expected <= LONG:
        return said
    return f"{said}; fewer --images, a smaller --image-size or --weights pretext make it shorter"


class Pace:
    """How fast a run's cells go: those that have ended tell how long the others take. Times are seconds of any clock.

    Args:
        costs: of the cells that are to be run, in any unit.
    """

    def __init__(self, costs: Mapping[Cell, float]) -> None:
        self.costs = costs
        self.waiting, self.abreast = set(costs), 1
        self.began: dict[Cell, float] = {}
        self.share: dict[Cell, float] = {}
        self.took: dict[Cell, float] = {}

    def begin(self, cell: Cell, now: float) -> None:
        """A worker has begun with a cell, or begins it again."""
        self.began[cell], self.share[cell] = now, 0.0
        self.abreast = max(self.abreast, len(self.began))

    def reach(self, cell: Cell, share: float) -> None:
        """So much of a cell's training is done, from 0 to 1."""
        self.share[cell] = share

    def end(self, cell: Cell, now: float, well: bool) -> None:
        """A cell has ended; one that didn't end well tells nothing of others."""
        self.waiting.discard(cell)
        began = self.began.pop(cell, now)
        if well:
            self.took[cell] = now - began

    def left(self, now: float) -> float | None:
        """Seconds until all cells have ended; None where nothing is left, or too little has ended to tell."""
        told = sum(self.costs[cell] for cell in self.took)
        # a cell of little work takes as long as its process takes to start: nothing follows of the others
        if not self.waiting or told < PART * sum(self.costs.values()):
            return None
        rest = [self._rest(cell, now) for cell in self.waiting]
        return max(sum(rest) / self.abreast, *rest)

    def _rest(self, cell: Cell, now: float) -> float:
        """Seconds that a cell still takes: by its epochs, where some are done, else by how long it has been at it."""
        expected, share = self._like(cell), self.share.get(cell, 0.0)
        if share:
            return expected * (1 - share)
        return max(0.0, expected - (now - self.began.get(cell, now)))

    def _like(self, cell: Cell) -> float:
        """Seconds for a cell, as those of its policy took, else as those of its framework, else as all."""
        own = {one: took for one, took in self.took.items() if one.framework == cell.framework}
        same = {one: took for one, took in own.items() if one.policy == cell.policy}
        timed = same or own or self.took
        return self.costs[cell] * sum(timed.values()) / sum(self.costs[one] for one in timed)


def duration(of: float) -> str:
    """Seconds as a person says them: 40 seconds, 5 minutes, 3 hours."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if of >= 1.5 * size:
            return f"{of / size:.0f} {unit}s"
    return f"{max(10, round(of, -1)):.0f} seconds"
