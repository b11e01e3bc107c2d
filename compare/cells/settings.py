"""What a run's cells have in common."""

from __future__ import annotations

from dataclasses import asdict, dataclass

EXPLAIN = ("best-and-last", "every-epoch", "nothing")


@dataclass(frozen=True)
class Settings:
    """What a run's cells have in common: the data, the weights and how training goes.

    Attributes:
        data: ``elpv`` or a folder.
        positive: name of the positive class; None takes the rarer.
        weights: as given to ``--weights``.
        images: how many images are taken for training (stratified, seeded); None takes all.
        image_size: side of the square images, in pixels.
        batch_size: images a batch.
        epochs: at most this many.
        learning_rate: Adam's.
        patience: epochs without a better val_loss before training stops.
        reduce_lr: multiply the learning rate by 0.1 after 5 epochs without a better val_loss.
        skip_unreadable: go on without the images that can't be read.
        explain: which epochs' gaps are split into terms, one of `EXPLAIN`.
        release: the old Keras whose arithmetic both frameworks take over; None for their own.
    """

    data: str = "elpv"
    positive: str | None = None
    weights: str = "pretext"
    images: int | None = 220
    image_size: int = 96
    batch_size: int = 32
    epochs: int = 14
    learning_rate: float = 1e-3
    patience: int = 14
    reduce_lr: bool = False
    skip_unreadable: bool = False
    explain: str = "best-and-last"
    release: str | None = None

    def as_dict(self) -> dict:
        """The settings as JSON can hold them."""
        return asdict(self)


# The quick preset is sized so that each of seeds 0, 1 and 2 tells the story by itself, in both frameworks, which
# tests/test_story.py holds: more images take more steps, after which Keras's moving statistics have caught up. It
# stops nothing early: 55 images make its val_loss too noisy to go by.
PRESETS = {
    "quick": Settings(),
    "full": Settings(weights="imagenet", images=None, image_size=224, epochs=15, patience=5),
}
