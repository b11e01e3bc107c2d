"""What to do about each cause: a sentence, and lines of the framework's own code that run when pasted."""

from __future__ import annotations

from compare.diagnosis.records import Cure

_REESTIMATE = (
    "Re-estimate the statistics on the training data, and give the layers a decay that the steps suit."
)
_SENTENCES = {
    "none": "There is nothing to do.",
    "stale-statistics": _REESTIMATE,
    "foreign-statistics": "Let training normalise with the stored statistics, too, or re-estimate them on these data.",
    "batch-noise": "Use larger batches, or a normalisation that doesn't depend on the batch, such as GroupNorm.",
    "unmixed-batches": "Shuffle the samples, so that every batch is like the whole; waiting won't help.",
    "decay": "Give the layers a decay that averages over many batches, and let it arrive.",
    "shared-layer": "Give each of the inputs a normalisation layer of its own.",
    "not-frozen": "Freeze the statistics, too: keep these layers in evaluation mode whenever the rest trains.",
    "mode-override": "Let the mode decide: pass it on as it comes.",
    "mode-in-evaluation": "Evaluate in evaluation mode.",
    "random-evaluation": "Switch off what is random in evaluation.",
    "evaluation-changes-state": "Update statistics in training only.",
    "dropout": "Nothing is wrong: noise is on in training and off in evaluation.",
    "augmentation": "Nothing is wrong: training sees changed inputs, evaluation doesn't.",
    "weights-moved": "Nothing is wrong: training's figure is a mean over an epoch in which the weights changed.",
    "aggregation": "Average over samples in both figures.",
    "objective": "Compare figures of the same objective: report training's loss without its weights and penalties.",
    "metric": "Say which metric is meant, so that nothing has to be guessed from shapes.",
    "input-scale": "Give the network the inputs that it was trained on.",
    "data-differ": "Use the same preprocessing for both.",
    "samples": "Evaluate on the samples that the training figure is of.",
    "other-weights": "Evaluate the weights that were trained.",
    "numerics": "Find the layer whose values leave the range of its precision, and reset its statistics.",
}
_TORCH = {
    "stale-statistics": """\
for module in model.modules():
    if hasattr(module, "running_mean") and module.running_mean is not None:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over the batches that follow
model.train()
with torch.no_grad():
    for x, *_ in loader:
        model(x)
for module in model.modules():
    if hasattr(module, "running_mean"):
        module.momentum = 0.1
model.eval()""",
    "foreign-statistics": """\
model.train()
for module in model.modules():
    if hasattr(module, "running_mean"):
        module.eval()  # after every model.train()""",
    "batch-noise": "loader = DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True)",
    "unmixed-batches": "loader = DataLoader(dataset, batch_size=32, shuffle=True)",
    "decay": """\
for module in model.modules():
    if hasattr(module, "running_mean"):
        module.momentum = 0.1  # PyTorch's momentum is the share of the new value""",
    "shared-layer": "self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(2))  # one for each input",
    "not-frozen": """\
model.train()
for module in model.modules():
    if hasattr(module, "running_mean") and not any(p.requires_grad for p in module.parameters()):
        module.eval()  # after every model.train()""",
    "mode-override": """\
def train(self, mode=True):
    super().train(mode)
    return self""",
    "mode-in-evaluation": "model.eval()",
    "random-evaluation": "x = F.dropout(x, 0.5, training=self.training)",
    "evaluation-changes-state": """\
if self.training:
    self.update(x)""",
    "aggregation": "total += loss.item() * len(y)  # and divide by the number of samples at the end",
    "metric": "accuracy = (outputs.argmax(1) == targets).float().mean()  # of two classes by logits: outputs > 0",
    "other-weights": "model.load_state_dict(state, strict=True)",
    "numerics": """\
for module in model.modules():
    if hasattr(module, "running_mean"):
        module.reset_running_stats()""",
}
_KERAS: dict[str, str] = {}


def cure(framework: str, cause: str, layers: tuple[str, ...] = (), detail: str = "") -> Cure:
    """What to do about a cause.

    Args:
        framework: ``keras`` or ``torch``.
        cause: one of `records.CAUSES`.
        layers: names of the layers that it is about.
        detail: code that is this case's own and replaces the general one.
    """
    code = (_TORCH if framework == "torch" else _KERAS).get(cause, "")
    if cause == "input-scale" and detail:
        code = f"x = {detail}"
    return Cure(_SENTENCES[cause], code)
