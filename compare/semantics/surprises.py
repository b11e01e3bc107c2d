"""The rows that contradict what people expect, or what a framework's own guide says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compare.semantics.record import Record
from compare.semantics.row import Row

# where a release's name starts so, its spelling, and what is surprising about the row
SURPRISES = (
    ("keras-2.0.0", "layer(x, training=False)", "The argument is inverted: batch statistics, and no update."),
    ("keras-2.1.2", "layer.trainable = False", "Frozen, and yet the moving statistics drift."),
    ("keras-2.1.3", "layer.trainable = False", "Frozen, and yet on batch statistics: the seed of the gap."),
    (
        "keras-2.1.3",
        "layer.trainable = isinstance(layer, BatchNormalization)",
        "The moving average is zero-debiased: the first step throws the pretrained statistics away. So it was in "
        "2.2.4, and no longer in 2.3.1.",
    ),
    ("keras-2.1.6", "BatchNormalization()", "The variance that enters the moving one is corrected twice."),
    ("keras-2.3.1", "BatchNormalization()", "Corrected twice still, on TensorFlow 1."),
    (
        "keras-2.3.1",
        "epoch averages of fit_generator, evaluate_generator",
        "evaluate_generator's loss is that of the last batch.",
    ),
    (
        "keras-3",
        "base(x, training=False)",
        "In a functional model fit overrides the argument that the transfer-learning guide builds on.",
    ),
    (
        "keras-3",
        "layer.trainable = False, layer by layer; then base.trainable = True",
        "On TensorFlow the base's flag, which was True before, is set without effect; on other backends it wakes "
        "every layer.",
    ),
    ("keras-3", "subclassed call(x) without training", "fit never takes the layer out of inference mode."),
    ("torch-", "requires_grad_(False)", "Frozen, and yet the moving statistics drift."),
    ("torch-", "bn.eval(), then model.train()", "A parent's train() undoes every module's eval()."),
    (
        "torch-",
        "bn.track_running_stats = False, set later",
        "Not what it does at construction: evaluation keeps to the moving statistics.",
    ),
    ("torch-", "torch.no_grad() around the base", "No gradient, and yet the moving statistics drift."),
)


def surprises(records: Sequence[Record]) -> Iterator[tuple[Record, Row, str]]:
    """Yield the surprising rows that the records have, with what is surprising."""
    for release, spelling, text in SURPRISES:
        record = next((record for record in records if record.release.startswith(release)), None)
        row = record.row(spelling) if record else None
        if record and row:
            yield record, row, text
