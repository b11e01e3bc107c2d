"""What a run will take, said before it starts: roughly, from what cells took on one machine."""

from __future__ import annotations

from collections.abc import Sequence

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
# At full width there are 16 times as many products; a machine makes them twice as fast in larger arrays.
WIDTH_POWER = 1.5
LONG = 3600.0  # seconds: who asks for more on a CPU is told what makes it shorter


def cost(cell: Cell) -> int:
    """Estimate how long a cell takes, in the units of `COSTS`."""
    policy, costs = POLICIES[cell.policy], COSTS[cell.framework]
    if policy.trains.startswith("all"):
        return costs["all"]
    return costs["bn"] if policy.trains == "bn" else costs[policy.fit_statistics]


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
    return sum(map(cost, cells)) * images * pixels * channels / jobs


def sentence(cells: Sequence[Cell], settings: Settings, steps: int, width: float, jobs: int) -> str:
    """Say how much there is to do and roughly how long it takes; of hours, what would make them fewer."""
    expected = seconds(cells, settings, steps, width, jobs)
    said = f"{steps * settings.epochs} steps each, roughly {duration(expected)} on a CPU"
    if expected <= LONG:
        return said
    return f"{said}; fewer --images, a smaller --image-size or --weights pretext make it shorter"


def duration(of: float) -> str:
    """Seconds as a person says them: 40 seconds, 5 minutes, 3 hours."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if of >= 1.5 * size:
            return f"{of / size:.0f} {unit}s"
    return f"{max(10, round(of, -1)):.0f} seconds"
