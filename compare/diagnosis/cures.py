"""What to do about each cause: a sentence, and lines of the framework's own code that run when pasted."""

from __future__ import annotations

from textwrap import wrap

from compare.diagnosis import cures_keras, cures_torch
from compare.diagnosis.records import Cure

# columns of a list of names in code
LONG = 64
# cause -> what is to be done in the usual case
USUAL = {
    "none": "There is nothing to do.",
    "stale-statistics": (
        "Re-estimate the statistics on the training data, and give the layers a decay that the steps suit."
    ),
    "foreign-statistics": (
        "Let training normalise with the stored statistics, too, or re-estimate them on these data."
    ),
    "batch-noise": (
        "Use larger batches, or a normalisation that doesn't depend on the batch, such as GroupNorm."
    ),
    "unmixed-batches": "Shuffle the samples, so that every batch is like the whole; waiting won't help.",
    "decay": "Give the layers a decay that averages over many batches, and let it arrive.",
    "shared-layer": "Give each of the inputs a normalisation layer of its own.",
    "not-frozen": (
        "Freeze the statistics, too: keep these layers in evaluation mode whenever the rest trains."
    ),
    "mode-override": "Let the mode decide: pass it on as it comes.",
    "mode-in-evaluation": "Evaluate in evaluation mode.",
    "random-evaluation": "Switch off what is random in evaluation.",
    "evaluation-changes-state": "Update statistics in training only.",
    "dropout": "Nothing is wrong: noise is on in training and off in evaluation.",
    "augmentation": "Nothing is wrong: training sees changed inputs, evaluation doesn't.",
    "weights-moved": (
        "Nothing is wrong: training's figure is a mean over an epoch in which the weights changed."
    ),
    "aggregation": "Average over samples in both figures.",
    "objective": (
        "Compare figures of the same objective: report training's loss without its weights and penalties."
    ),
    "metric": "Say which metric is meant, so that nothing has to be guessed from shapes.",
    "input-scale": "Give the network the inputs that it was trained on.",
    "data-differ": "Use the same preprocessing for both.",
    "samples": "Evaluate on the samples that the training figure is of.",
    "other-weights": "Evaluate the weights that were trained.",
    "numerics": "Find the layer whose values leave the range of its precision, and reset its statistics.",
}
# (cause, what sets a case apart) -> what is to be done there
SPECIAL = {
    ("mode-override", "frozen"): (
        "Freeze the layers by their own trainable flag: in Keras 3.0 to 3.15 fit overrides what a "
        "graph's call says."
    ),
    ("mode-override", "always"): (
        "If it is meant to act in evaluation, give it a call of its own: in Keras 3.0 to 3.15 "
        "evaluate overrides what a graph's call says."
    ),
    ("mode-override", "own"): (
        "Look where the code reads its mode: what it leaves out, or does, in evaluation alone wasn't trained."
    ),
    ("mode-override", "steps"): "Say which mode is meant wherever a step of your own calls the model.",
    ("other-weights", "averaged"): (
        "Compare figures of the same weights, and average over as many steps as the averages' momentum suits."
    ),
    ("samples", "validation"): "To have the two compared, give the validation data as evaluate_data.",
    ("objective", "steps"): (
        "Have training's step and evaluation's report the same figure under one name, and compare that one."
    ),
    ("mode-override", "never-training"): "Put the model into training mode before every epoch.",
    ("mode-in-evaluation", "by-batch"): (
        "Evaluate batches that are dealt as training's are, or use a normalisation that keeps statistics or takes"
        " each sample's own."
    ),
    ("random-evaluation", "drawn"): "Draw random numbers in training only, wherever the layer draws them.",
    ("random-evaluation", "stuck"): "Put these layers into evaluation mode, too.",
    ("random-evaluation", "step"): (
        "Seed what the loss draws before each evaluation, so that every evaluation draws the same."
    ),
    ("random-evaluation", "data"): (
        "Draw evaluation's samples once, without random changes, so that every evaluation is of the same."
    ),
    (
        "other-weights",
        "perhaps",
    ): "Compute the figure again with these weights and data, and see what it was made of.",
    ("evaluation-changes-state", "memory"): (
        "Evaluate a copy, or reset what the model remembers before each evaluation and before training goes on."
    ),
    ("mode-in-evaluation", "function"): "Pass the mode on to the function.",
    ("samples", "apart"): "Take inputs and targets from the same pass over the data.",
    ("samples", "classes"): "Number the classes alike in both data sets, by one list of their names.",
    (
        "numerics",
        "layer",
    ): "See what reaches this layer: its inputs, or weights that have grown without bounds.",
    ("numerics", "loss"): (
        "Compute the loss in float32, and from logits: the logarithm of a probability of 0 is infinite."
    ),
    ("metric", "loss"): (
        "Apply softmax or sigmoid once: a loss of logits has it inside, one of probabilities wants it before."
    ),
    ("numerics", "half"): "Compute the loss in float32: what it adds up leaves the range of half precision.",
    ("numerics", "reported"): "Stop at the first batch whose loss is no number, and look at that batch.",
    ("numerics", "compiled"): (
        "Evaluate without XLA, and take the mean off the inputs before float32 has to hold both."
    ),
}
SENTENCES = {(cause, ""): text for cause, text in USUAL.items()} | SPECIAL
_SHIFTED = "Put the noise behind the last normalisation, or re-estimate the statistics without it."
SENTENCES |= {(cause, "before-normalisation"): _SHIFTED for cause in ("dropout", "augmentation")}
SENTENCES |= {(cause, "changed"): SENTENCES[cause, ""] for cause in ("input-scale", "data-differ")}
# what there is no line to paste for: the code that is to be changed is a person's own
CODELESS = {("objective", "steps")}
SENTENCES |= {(cause, "by-step"): SENTENCES[cause, ""] for cause in ("aggregation", "objective")}
SENTENCES["objective", "weights"] = SENTENCES["objective", ""]
SENTENCES |= {
    (cause, "own-step"): SENTENCES[cause, ""] for cause in ("stale-statistics", "decay", "numerics")
}
_BY_HAND = (
    "Put the framework's own normalisation in place of yours, and train: nothing from outside reaches what a"
    " person's own code keeps."
)
SENTENCES |= {
    (cause, "by-hand"): _BY_HAND for cause in ("stale-statistics", "foreign-statistics", "decay", "numerics")
}
SENTENCES["shared-layer", "by-hand"] = SENTENCES["shared-layer", ""]
# (framework, cause, detail) -> cure; a detail that a framework has no code for has the cause's usual cure
CURES = {
    (framework, cause, detail): Cure(SENTENCES[cause, detail], codes.get((cause, detail), ""))
    for framework, codes in (("keras", cures_keras.CODE), ("torch", cures_torch.CODE))
    for cause, detail in SENTENCES
    if not detail or (cause, detail) in codes or (cause, detail) in CODELESS
}


def cure(
    framework: str,
    cause: str,
    layers: tuple[str, ...] = (),
    detail: str = "",
    change: str = "",
    calling: tuple[str, str] = ("x, *_", "model(x)"),
) -> Cure:
    """What to do about a cause.

    Args:
        framework: ``keras`` or ``torch``.
        cause: one of `records.CAUSES`.
        layers: names of the layers that it is about.
        detail: what sets this case apart from the cause's usual one: a word of `SENTENCES`.
        change: code of inputs changed, where the detail is ``changed``.
        calling: what a loop over the data unpacks a batch to, and how it calls the model, as code.

    Raises:
        KeyError: there is no such cause.
    """
    found = CURES.get((framework, cause, detail)) or CURES[framework, cause, ""]
    code = found.code.replace("{batch}", calling[0]).replace("{call}", calling[1])
    return Cure(found.text, code.replace("{names}", _listed(layers)).replace("{change}", change))


def _listed(layers: tuple[str, ...]) -> str:
    """The names as a tuple of Python's, over several lines where one is too long to be read."""
    whole = repr(tuple(layers))
    if len(whole) < LONG:
        return whole
    lines = wrap(", ".join(map(repr, layers)) + ",", LONG, break_long_words=False, break_on_hyphens=False)
    return "\n".join(["(", *(f"    {line}" for line in lines), ")"])
