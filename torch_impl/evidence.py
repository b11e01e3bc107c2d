"""What a framework measures of a person's model, as plain records, before anybody draws conclusions from it.

The same text in both implementations; it knows no framework.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Seen:
    """What reached one call of a normalisation layer in a pass, pooled over the batches.

    Attributes:
        count: values a channel, over all batches.
        mean, variance: pooled over all batches, float64 ``(C,)``; the variance is biased (divided by n).
        batch_mean, batch_variance: mean over the batches of each batch's own, the variance as the framework
            would store it: what a moving average that has converged holds.
        between: variance of the batches' means, ``(C,)``.
        expected: the same for batches of the same size dealt at random, from the samples' own means, ``(C,)``.
        batches: how many there were.
        per_channel: the fewest values a channel that a batch had; 1 means a variance of zero.
        rows: of all batches along the first axis; more than samples where each has several.
    """

    count: float
    mean: np.ndarray
    variance: np.ndarray
    batch_mean: np.ndarray
    batch_variance: np.ndarray
    between: np.ndarray
    expected: np.ndarray
    batches: int
    per_channel: int
    rows: int = 0


@dataclass(frozen=True)
class Override:
    """Why a layer's mode isn't what its flag says.

    Attributes:
        words: the same, as the end of a sentence.
        by: who sees to that: ``call`` (a mode that a call's code says), ``untold`` (a call that passes none on),
            ``class`` (its own ``train`` or ``eval``), ``hand`` (it was set so), ``function`` (a function that isn't
            told the mode), or ``code`` (the layer's own, or a step's).
    """

    words: str
    by: str


@dataclass(frozen=True)
class Layer:
    """A layer that acts differently in training, or a normalisation layer of any kind, by what it does.

    Attributes:
        name: path in the model.
        kind: name of its class.
        role: ``normalisation``, ``dropout`` (any noise), ``augmentation``, ``other``, or ``objective`` where it adds
            another loss in training.
        switch: whether training and evaluation use it differently.
        trains: whether an optimizer would change parameters of its own.
        parameters: whether it has any.
        frozen: whether a person would believe that it is frozen: nothing in it and beside it trains, and
            something else in the model does.
        fit, evaluate: what it does in each: ``batch``, ``moving``, ``sample`` (statistics of a sample of its own,
            as LayerNorm and GroupNorm) for a normalisation; ``on``, ``off`` for the others; ``unreached``.
        flag_fit, flag_evaluate: the same, as its flag says (``training``, ``trainable``, the call's argument).
        moves, moves_in_evaluation: whether its statistics change in a pass in training, in evaluation.
        virgin: whether its statistics are still exactly as they were made.
        calls: how often it's called in a forward pass of training.
        decay: share of the old moving value that a step keeps; None where there is none, or a plain mean.
        epsilon: what it adds to the variance.
        steps: how many updates its statistics have had, where it counts them.
        faults: what is wrong with its statistics, such as ``infinity in 3 of 16 variances``.
        mean, variance: what it has stored, float64 ``(C,)``.
        by_hand: whether a person wrote it, so that nothing from outside resets or re-estimates what it keeps.
        override: why the mode isn't what the flag says; None where it is.
        order: its place among the layers, by the data's way through the model.
    """

    name: str
    kind: str
    role: str
    switch: bool = False
    trains: bool = False
    parameters: bool = False
    frozen: bool = False
    fit: str = "unreached"
    evaluate: str = "unreached"
    flag_fit: str | None = None
    flag_evaluate: str | None = None
    moves: bool = False
    moves_in_evaluation: bool = False
    virgin: bool = False
    calls: int = 0
    decay: float | None = None
    epsilon: float | None = None
    steps: int | None = None
    faults: tuple[str, ...] = ()
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None
    by_hand: bool = False
    override: Override | None = None
    order: int = 0


@dataclass(frozen=True)
class Batch:
    """One batch, as the framework's own `evaluate` would unpack it.

    Attributes:
        raw: what the data gave.
        inputs, targets: what the model takes, what the loss takes; None where a ``step`` unpacks the batch itself.
        weights: of the samples; None where there are none.
        size: samples.
    """

    raw: Any
    inputs: Any = None
    targets: Any = None
    weights: Any = None
    size: int = 0


@dataclass(frozen=True)
class Step:
    """What one batch came to in a pass.

    Attributes:
        loss: the batch's loss as the framework reports it, penalties included.
        size: samples.
        weight: what the batch counts in the framework's own mean over batches; mostly its size.
        penalty: the part of the loss that depends on the weights alone.
        metrics: value of each metric on this batch alone.
        shuffled: the loss with each sample's outputs beside another sample's targets; None where unknown.
        loss_in_float32: the loss computed from outputs in float32, where they are of a lesser precision.
        unweighted: the loss without sample and class weights, where there are some.
        outputs, targets: as arrays, where they were asked for.
        constant: the loss with the batch's mean outputs beside every sample's target; None where unknown.
    """

    loss: float
    size: int
    weight: float
    penalty: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    shuffled: float | None = None
    loss_in_float32: float | None = None
    unweighted: float | None = None
    outputs: Any = None
    targets: Any = None
    constant: float | None = None


@dataclass(frozen=True)
class Pass:
    """A pass over data.

    Attributes:
        steps: a batch each.
        figures: ``loss`` and the metrics over all batches, averaged as the framework itself averages them.
        seen: call of a normalisation layer (``bn``, ``bn#2`` for its second call) -> what reached it.
    """

    steps: list[Step]
    figures: dict[str, float]
    seen: dict[str, Seen] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What a framework knows of a training beside the layers.

    Attributes:
        trains: whether anything in the model trains.
        accumulation: micro-batches an update, where the trainer says so.
        batch_size: of `fit`, where the framework knows it.
        initial: names of the parameters that are as an initialiser makes them.
        parameters: how many parameters there are.
        notes: evidence that these aren't the weights that were trained (``use_ema``), a sentence each.
        precision: dtype that the model computes with.
        objectives: whether training and evaluation have a loss of their own each, which can differ.
        by_hand: whether a person can call the step that training makes, ``model.train_step(batch)``, and has to.
        evaluates: whether the person evaluates at all, and not training's step stands for that.
    """

    trains: bool = True
    accumulation: int | None = None
    batch_size: int | None = None
    initial: tuple[str, ...] = ()
    parameters: int = 0
    notes: tuple[str, ...] = ()
    precision: str = "float32"
    objectives: bool = False
    by_hand: bool = False
    evaluates: bool = True
