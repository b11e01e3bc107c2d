"""What to do about a gap, in each framework's own code: lines that a person can paste."""

from __future__ import annotations

import math
from dataclasses import dataclass

from compare.diagnosis.records import BETWEEN, STORED
from compare.spec import LAG, Behaviour
from compare.verdict.figures import Explained

# share of the old value that a step keeps, as PyTorch comes; with less the statistics are as noisy as the batches
USUAL = 0.9
# a change of that share by less isn't worth a training
NOTABLE = 0.05

# terms that are there in healthy training, too
HARMLESS = ("dropout", "weights-moved")


@dataclass(frozen=True)
class Cure:
    """One thing to do.

    Attributes:
        what: its name, as an order.
        line: framework -> what to write, in short.
        code: framework -> what to write, to paste.
    """

    what: str
    line: dict[str, str]
    code: dict[str, str]


FREEZE = Cure(
    "freeze BN in inference mode",
    {
        "keras": "bn.trainable = False for every BN layer, then compile again",
        "torch": "bn.eval() for every BN module, after every model.train()",
    },
    {
        "keras": """\
for layer in base.layers:  # the pretrained network's
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.trainable = False  # then compile again""",
        "torch": """\
for module in model.modules():
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.eval()  # after every model.train()""",
    },
)
REESTIMATE = Cure(
    "re-estimate the moving statistics before evaluate",
    {
        "keras": "keras_impl.statistics.recalibrate(model, batches) before evaluate",
        "torch": "torch_impl.statistics.recalibrate(model, batches) before evaluation",
    },
    {
        "keras": """\
from keras_impl.statistics import recalibrate
recalibrate(model, batches)  # of training images, as in fit
model.evaluate(x, y)""",
        "torch": """\
from torch_impl.statistics import recalibrate
recalibrate(model, batches)  # of training images, as in fit
model.eval()""",
    },
)


def lower_decay(decay: float) -> Cure:
    """Keep less of the old moving statistics at every step."""
    return Cure(
        f"lower BN's decay to {decay:g}",
        {
            "keras": f"bn.momentum = {decay:g} before compile",
            "torch": f"bn.momentum = {1 - decay:.2g} before training",
        },
        {
            "keras": f"""\
for layer in base.layers:  # the pretrained network's
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.momentum = {decay:g}  # before compile""",
            "torch": f"""\
for module in model.modules():
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.momentum = {1 - decay:.2g}  # the new value's share""",
        },
    )  # fmt: skip


def cures(behaviour: Behaviour | None, cause: str, explained: Explained) -> tuple[Cure, ...]:
    """What the figures say would help, first what suits the training; nothing where the cause is harmless.

    - What the layers have stored: re-estimated statistics were measured (``population``). Where all but the head is
      meant to be frozen, BN is, too, normalising alike in both. Where the statistics are updated, but in too few
      steps for their decay, a lower decay gets there.
    - Batch noise, unmixed batches: no moving statistics equal each batch's own, so only freezing BN helps.
    - Dropout, weights that move: nothing is wrong.
    """
    if cause in BETWEEN:
        return (FREEZE,)
    if cause not in STORED:
        return ()
    if behaviour is not None and behaviour.frozen:
        return (FREEZE, REESTIMATE)
    late = explained.late
    if late and late.decay is not None and (decay := decay_for(late.steps)) < late.decay - NOTABLE:
        return (lower_decay(decay), REESTIMATE)
    return (REESTIMATE,)


def decay_for(steps: int) -> float:
    """The decay, in hundredths, at which that many steps bring the lag below 5 %; the usual one if that will do."""
    return min(USUAL, math.floor(100 * LAG ** (1 / max(1, steps))) / 100)
