"""How much passes through a network: every bound on memory and on the number of passes.

Population statistics are exact because all their images pass through the network side by side, so memory says how
many there may be. What a stage contributes takes a pass of its own, so time says on how many images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.data import Batches

# Bytes that the images of a population may take, and what an image of 224 pixels takes in a full-width ResNet50
# (measured: 0.45 MB at 96 pixels and quarter width).
STATISTICS_BYTES, BYTES_AN_IMAGE = 1.25e9, 10e6
# An explanation makes do with fewer images than a recalibration: 320 of the quick preset's 640 move a term by 0.001.
EXPLANATION_IMAGES = 320
# Images that a stage's contribution is measured on at most.
STAGE_IMAGES = 64
# Images on which the mean of the batches' statistics is told from the population's: the same images under both, so
# that few are enough. Where batches are dealt at random the two are nearly one.
AVERAGES_IMAGES = 128
# Pixels of a step of a population pass. A Keras layer takes 1 ms whatever comes to it, so a step is larger than a
# training batch; memory sets the limit.
PASS_PIXELS = 128 * 96**2
# Batches of features in memory at once.
BATCHES_AT_A_TIME = 256


@dataclass(frozen=True)
class Bounds:
    """How many images may pass through a network.

    Attributes:
        population: side by side, for the population statistics that replace the moving ones.
        explanation: side by side, for the population statistics of an explanation.
        stage: in the passes that measure a stage's contribution.
        step: in one step of a population pass; None takes a training batch.
        averages: in the pass under the mean of the batches' statistics.
    """

    population: int = EXPLANATION_IMAGES
    explanation: int = EXPLANATION_IMAGES
    stage: int = STAGE_IMAGES
    step: int | None = None
    averages: int = AVERAGES_IMAGES


# of a model that nothing is known of
USUAL = Bounds()


def bounds(width: float, image_size: int, batch_size: int) -> Bounds:
    """The bounds of a backbone.

    Args:
        width: what all channels are scaled by.
        image_size: side of the images, in pixels.
        batch_size: a training batch, which fits in any case.
    """
    image = BYTES_AN_IMAGE * width * (image_size / 224) ** 2
    population = max(batch_size, int(STATISTICS_BYTES / image))
    return Bounds(
        population,
        min(EXPLANATION_IMAGES, population),
        STAGE_IMAGES,
        max(batch_size, PASS_PIXELS // image_size**2),
    )


def images_of(batches: Batches, most: int, step: int | None = None) -> tuple[Batches, list[np.ndarray]]:
    """Take each image of the batches once, or every second, third ... so that there are at most ``most``.

    Args:
        step: images a batch of what is returned; None takes the batches' own.

    Returns:
        Batches of these images, and for each how often its images come in the batches given.
    """
    indices = np.unique(batches.all_indices)
    return batches.among(indices[:: -(-len(indices) // most)]).distinct(step)


def some_of(batches: Sequence[tuple[Any, ...]], most: int) -> Sequence[tuple[Any, ...]]:
    """Take whole batches, evenly over all of them, with at most ``most`` samples together, but one in any case.

    Args:
        batches: any, (inputs, labels, ...) each.
    """
    total = sum(len(batch[1]) for batch in batches)
    if total <= most:
        return batches
    count = max(1, len(batches) * most // total)
    return [batches[step] for step in np.linspace(0, len(batches) - 1, count).round().astype(int)]
