"""What to do about each cause: a sentence, and lines of the framework's own code that run when pasted."""

from __future__ import annotations

from textwrap import wrap

from compare.diagnosis.records import Cure

# columns of a list of names in code
LONG = 64
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
_NORMS = """\
names = {names}
norms = [module for name, module in model.named_modules() if name in names]
"""
_AGAIN = (
    _NORMS
    + """\
for norm in norms:
    norm.reset_running_stats()
    norm.momentum = None  # a plain mean over the batches that follow
model.train()
with torch.no_grad():
    for x, *_ in loader:
        model(x)
for norm in norms:
    norm.momentum = 0.1  # PyTorch's momentum is the share of the new value
model.eval()"""
)
_TORCH = {
    "stale-statistics": _AGAIN,
    "foreign-statistics": _AGAIN,
    "decay": _AGAIN,
    "numerics": _AGAIN,
    "batch-noise": """\
dataset = loader.dataset
size = min(64, len(dataset))
loader = DataLoader(dataset, batch_size=size, shuffle=True, drop_last=True)""",
    "unmixed-batches": "loader = DataLoader(loader.dataset, batch_size=32, shuffle=True)",
    "shared-layer": _NORMS
    + "own = nn.ModuleList(copy.deepcopy(norms[0]) for _ in range(2))  # call one for each input",
    "not-frozen": _NORMS
    + """\
model.train()
for norm in norms:
    norm.eval()  # after every model.train()""",
    "mode-override": """\
def train(self, mode=True):  # in the model's class; calls pass training=self.training on
    return nn.Module.train(self, mode)""",
    "mode-in-evaluation": """\
model.eval()
for module in model.modules():
    module.training = False""",
    "random-evaluation": "x = F.dropout(x, 0.5, training=model.training)  # nn.Dropout does that by itself",
    "evaluation-changes-state": """\
kept = copy.deepcopy(model.state_dict())
model.eval()
with torch.no_grad():
    values = [loss(model(x), y).item() for x, y in loader]
model.load_state_dict(kept)  # until the update in forward stands behind `if self.training:`""",
    "aggregation": """\
total = count = 0
with torch.no_grad():
    for x, y in loader:
        total += loss(model(x), y).item() * len(y)
        count += len(y)
mean = total / count""",
    "objective": "value = loss(outputs, targets)  # in both, without weights, smoothing and penalties",
    "metric": "accuracy = (outputs.argmax(1) == targets).float().mean()  # of two classes by logits: outputs > 0",
    "samples": "loader = DataLoader(loader.dataset, batch_size=32)  # inputs and targets in the same pass",
    "other-weights": "model.load_state_dict(state, strict=True)  # buffers included",
    "data-differ": "dataset = loader.dataset  # the same transforms for both, but for augmentation",
}
_REESTIMATE_KERAS = """\
every = model._flatten_layers()
norms = [layer for layer in every if hasattr(layer, "moving_mean")]
decays = [layer.momentum for layer in norms]
for step, (x, *_) in enumerate(train_ds, 1):  # the batches that fit sees
    for layer in norms:
        layer.momentum = 1 - 1 / step  # a plain mean over all batches
    model(x, training=True)
for layer, decay in zip(norms, decays):
    layer.momentum = decay"""
_FREEZE_KERAS = """\
for layer in model._flatten_layers():
    if hasattr(layer, "moving_mean"):
        layer.trainable = False  # normalises with what it has stored, and keeps that, in fit, too
model.compile(optimizer=model.optimizer, loss=model.loss)  # with your metrics: fit takes it up from here"""
_PASS_ON_KERAS = """\
def call(self, x, training=None):
    return self.head(self.body(x, training=training), training=training)"""
_KERAS = {
    "stale-statistics": _REESTIMATE_KERAS.replace(
        "layer.momentum = decay", "layer.momentum = min(decay, 0.9)  # 29 steps; compile again for fit"
    ),
    "foreign-statistics": _FREEZE_KERAS,
    "batch-noise": "train_ds = train_ds.unbatch().shuffle(10_000).batch(64)  # arrays: fit(x, y, batch_size=64)",
    "unmixed-batches": (
        "train_ds = train_ds.unbatch().shuffle(10_000).batch(32)  # of arrays: model.fit(x, y, shuffle=True)"
    ),
    "decay": f"""\
for layer in model._flatten_layers():
    if hasattr(layer, "moving_mean"):
        layer.momentum = 0.9  # Keras's momentum is the share of the old value
model.compile(optimizer=model.optimizer, loss=model.loss)  # with your metrics: fit takes it up from here
# and once for the statistics that are stored now
{_REESTIMATE_KERAS}""",
    "shared-layer": """\
norms = [keras.layers.BatchNormalization() for _ in range(2)]  # one for each input that the layers behind it share
# instead of TimeDistributed(BatchNormalization()), one over all time steps: BatchNormalization(axis=-1)""",
    "not-frozen": _FREEZE_KERAS,
    "mode-override": _PASS_ON_KERAS,
    "mode-override frozen": _FREEZE_KERAS,
    "mode-in-evaluation": _PASS_ON_KERAS,
    "random-evaluation": _PASS_ON_KERAS,
    "evaluation-changes-state": _PASS_ON_KERAS,
    "aggregation": """\
mean = keras.metrics.Mean()
for x, y in train_ds:
    value = model.test_on_batch(x, y, return_dict=True)["loss"]
    mean.update_state(value, sample_weight=len(y))
print(float(mean.result()))""",
    "objective": "model.evaluate(x, y, sample_weight=weights)  # weighted as in fit, where weights are the samples'",
    "metric": """\
accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")  # or Categorical, Binary
model.compile(model.optimizer, model.loss, metrics=[accuracy])""",
    "other-weights": """\
model.load_weights("trained.weights.h5")  # the whole model's, saved by model.save_weights
# with use_ema=True: model.fit(..., callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True)])""",
    "numerics": f"""\
for layer in model._flatten_layers():
    if hasattr(layer, "moving_mean"):
        mean, variance = layer.moving_mean, layer.moving_variance
        mean.assign(keras.ops.zeros_like(mean))
        variance.assign(keras.ops.ones_like(variance))
{_REESTIMATE_KERAS}""",
}
_COMPILED = "Evaluate without XLA, and take the mean off the inputs before float32 has to hold both."
_COMPILED_KERAS = """\
model.compile(model.optimizer, model.loss, jit_compile=False)  # with your metrics
x = (x - x.mean(0)) / x.std(0)  # in float64, before it trains"""
_SHIFT = "Put the noise behind the last normalisation, or re-estimate the statistics without it."
_SHIFT_TORCH = """\
norms = [module for module in model.modules() if hasattr(module, "reset_running_stats")]
""" + _AGAIN.removeprefix(_NORMS).replace(
    "model.train()\n",
    """\
model.train()
for module in model.modules():
    if "Dropout" in type(module).__name__:
        module.eval()
""",
)
_SHIFT_KERAS = f"""\
drops = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
rates = [layer.rate for layer in drops]
for layer in drops:
    layer.rate = 0.0
{_REESTIMATE_KERAS}
for layer, rate in zip(drops, rates):
    layer.rate = rate"""
_ALWAYS = (
    "If it is meant to act in evaluation, give it a call of its own: in Keras 3.0 to 3.15 evaluate overrides what a"
    " graph's call says."
)
_ALWAYS_KERAS = """\
class Always(keras.layers.Dropout):  # in place of the layer; another kind of layer in the same way
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)"""
_FROZEN = "Freeze the layers by their own trainable flag: in Keras 3.0 to 3.15 fit overrides what a graph's call says."


def cure(framework: str, cause: str, layers: tuple[str, ...] = (), detail: str = "") -> Cure:
    """What to do about a cause.

    Args:
        framework: ``keras`` or ``torch``.
        cause: one of `records.CAUSES`.
        layers: names of the layers that it is about.
        detail: code that is this case's own and replaces the general one.
    """
    code = (_TORCH if framework == "torch" else _KERAS).get(cause, "")
    if framework == "keras" and cause == "mode-override" and detail == "frozen":
        return Cure(_FROZEN, _KERAS["mode-override frozen"])
    if framework == "keras" and cause == "mode-override" and detail == "always":
        return Cure(_ALWAYS, _ALWAYS_KERAS)
    if cause in ("dropout", "augmentation") and detail:
        code = _SHIFT_TORCH if framework == "torch" else _SHIFT_KERAS
        return Cure(_SHIFT, code.replace("{names}", _listed(layers)))
    if cause == "numerics" and detail == "compiled":
        return Cure(_COMPILED, _COMPILED_KERAS)
    if cause == "input-scale" and detail:
        code = f"x = {detail}"
    if framework == "torch" and cause == "mode-override" and detail:
        code = detail
    return Cure(_SENTENCES[cause], code.replace("{names}", _listed(layers)))


def _listed(layers: tuple[str, ...]) -> str:
    """The names as a tuple of Python's, over several lines where one is too long to be read."""
    whole = repr(tuple(layers))
    if len(whole) < LONG:
        return whole
    lines = wrap(", ".join(map(repr, layers)) + ",", LONG, break_long_words=False, break_on_hyphens=False)
    return "\n".join(["(", *(f"    {line}" for line in lines), ")"])
