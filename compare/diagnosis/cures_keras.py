"""The code of the cures in Keras; what it stands on: ``model``, ``train_ds``, ``keras``, ``np``, and ``x``, ``y``."""

_REESTIMATE = """\
every = model._flatten_layers()
norms = [layer for layer in every if hasattr(layer, "moving_mean")]
decays = [layer.momentum for layer in norms]
for step, batch in enumerate(train_ds, 1):  # the batches that fit sees
    x, *_ = keras.utils.unpack_x_y_sample_weight(batch)
    for layer in norms:
        layer.momentum = 1 - 1 / step  # a plain mean over all batches
    model(x, training=True)
for layer, decay in zip(norms, decays):
    layer.momentum = decay"""
# inputs alone aren't what a step of a model's own takes, and a model may have no call: the step itself passes them
_BY_STEP = """\
every = model._flatten_layers()
norms = [layer for layer in every if hasattr(layer, "moving_mean")]
decays = [layer.momentum for layer in norms]
trained = [(variable, np.array(variable)) for variable in model.trainable_variables]
for step, batch in enumerate(train_ds, 1):  # the batches that fit sees
    for layer in norms:
        layer.momentum = 1 - 1 / step  # a plain mean over all batches
    model.train_step(batch)
    for variable, values in trained:  # the statistics stay, and what the step trains comes back
        variable.assign(values)
for layer, decay in zip(norms, decays):
    layer.momentum = decay"""
_FREEZE = """\
for layer in model._flatten_layers():
    if hasattr(layer, "moving_mean"):
        layer.trainable = False  # normalises with what it has stored, and keeps that, in fit, too
if model.compiled:
    model.compile(optimizer=model.optimizer, loss=model.loss)  # with your metrics: fit takes it up from here"""
_BY_HAND = "norm = keras.layers.BatchNormalization(momentum=0.9)  # in place of the layer"
_PASS_ON = """\
def call(self, x, training=None):
    return self.head(self.body(x, training=training), training=training)"""
_SHIFTED = f"""\
drops = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
rates = [layer.rate for layer in drops]
for layer in drops:
    layer.rate = 0.0
{_REESTIMATE}
for layer, rate in zip(drops, rates):
    layer.rate = rate"""
_STALE = _REESTIMATE.replace(
    "layer.momentum = decay", "layer.momentum = min(decay, 0.9)  # 29 steps; compile again for fit"
)
# (cause, detail of a case) -> code
CODE = {
    ("stale-statistics", ""): _STALE,
    ("foreign-statistics", ""): _FREEZE,
    (
        "batch-noise",
        "",
    ): "train_ds = train_ds.unbatch().shuffle(10_000).batch(64)  # arrays: fit(x, y, batch_size=64)",
    ("unmixed-batches", ""): (
        "train_ds = train_ds.unbatch().shuffle(10_000).batch(32)  # of arrays: model.fit(x, y, shuffle=True)"
    ),
    ("decay", ""): f"""\
for layer in model._flatten_layers():
    if hasattr(layer, "moving_mean"):
        layer.momentum = 0.9  # Keras's momentum is the share of the old value
if model.compiled:
    model.compile(optimizer=model.optimizer, loss=model.loss)  # with your metrics: fit takes it up from here
# and once for the statistics that are stored now
{_REESTIMATE}""",
    ("dropout", "before-normalisation"): _SHIFTED,
    ("augmentation", "before-normalisation"): _SHIFTED,
    ("shared-layer", ""): """\
norms = [keras.layers.BatchNormalization() for _ in range(2)]  # one for each input that the layers behind it share
# instead of TimeDistributed(BatchNormalization()), one over all time steps: BatchNormalization(axis=-1)""",
    ("not-frozen", ""): _FREEZE,
    ("mode-override", ""): _PASS_ON,
    ("mode-override", "frozen"): _FREEZE,
    ("mode-override", "steps"): """\
outputs = self(x, training=True)  # in train_step, of each model that it calls; training=False in test_step""",
    ("mode-override", "always"): """\
class Always(keras.layers.Dropout):  # in place of the layer; another kind of layer in the same way
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)""",
    ("mode-override", "own"): "# in call: what stands behind `if training:`, and behind its else",
    ("mode-in-evaluation", ""): _PASS_ON,
    (
        "mode-in-evaluation",
        "by-batch",
    ): "train_ds = train_ds.unbatch().shuffle(10_000).batch(32)  # evaluation's data, in batches like training's",
    ("random-evaluation", ""): _PASS_ON,
    ("random-evaluation", "drawn"): """\
def call(self, x, training=None):
    return x + keras.random.normal(keras.ops.shape(x)) if training else x""",
    ("random-evaluation", "step"): "keras.utils.set_random_seed(0)  # before each evaluation",
    ("random-evaluation", "data"): """\
batches = list(train_ds)  # evaluation's, drawn once: evaluate these every time
xs, ys = zip(*[batch[:2] for batch in batches])
x, y = np.concatenate(xs), np.concatenate(ys)""",
    ("evaluation-changes-state", ""): _PASS_ON,
    ("evaluation-changes-state", "memory"): """\
for layer in model._flatten_layers():
    if getattr(layer, "stateful", False):
        layer.reset_state()  # before each evaluation, and before training goes on""",
    ("aggregation", ""): """\
mean = keras.metrics.Mean()
for batch in train_ds:
    value = model.test_on_batch(*batch, return_dict=True)["loss"]
    mean.update_state(value, sample_weight=len(batch[1]))
print(float(mean.result()))""",
    ("aggregation", "by-step"): """\
total = count = 0
for batch in train_ds:
    said = step(model, batch)
    value = said["loss"] if isinstance(said, dict) else said
    total, count = total + float(value) * len(batch[0]), count + len(batch[0])
mean = total / count""",
    ("objective", ""): "model.evaluate(train_ds)  # what fit sees, by evaluation's objective",
    ("objective", "weights"): """\
# weighted as in fit: weights are the samples'; of class weights they are
# numpy.array([class_weight[label] for label in y.ravel()])
model.evaluate(x, y, sample_weight=weights)""",
    (
        "objective",
        "by-step",
    ): "values = [step(model, batch) for batch in train_ds]  # what fit sees, by evaluation's objective",
    ("metric", ""): """\
accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")  # or Categorical, Binary
model.compile(model.optimizer, model.loss, metrics=[accuracy])""",
    ("input-scale", "changed"): "x = {change}",
    ("samples", ""): """\
xs, ys = zip(*[batch[:2] for batch in train_ds])  # inputs and targets in the same pass
x, y = np.concatenate(xs), np.concatenate(ys)
model.evaluate(x, y)""",
    ("data-differ", ""): """\
prepare = keras.layers.Identity()  # in its place what fit's inputs go through, evaluation's alike
x = prepare(x)""",
    ("stale-statistics", "by-hand"): _BY_HAND,
    ("foreign-statistics", "by-hand"): _BY_HAND,
    ("decay", "by-hand"): _BY_HAND,
    ("numerics", "by-hand"): _BY_HAND,
    ("shared-layer", "by-hand"): """\
norms = [keras.layers.BatchNormalization() for _ in range(2)]  # one for each input that the layers behind it share""",
    ("data-differ", "changed"): "x = {change}  # in evaluation",
    (
        "other-weights",
        "perhaps",
    ): "print(model.evaluate(train_ds, return_dict=True))  # or evaluation's own data",
    ("samples", "validation"): (
        "diagnosis = compare.diagnose(model, train_ds, evaluate_data=val_ds, reported=history)"
    ),
    ("other-weights", "averaged"): """\
# validation is then of the averages in every epoch; ema_momentum=0.9 averages 10 steps, 0.99 a hundred
swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
model.fit(train_ds, validation_data=train_ds, callbacks=[swap])""",
    ("other-weights", ""): """\
model.load_weights("trained.weights.h5")  # the whole model's, saved by model.save_weights
# with use_ema=True: model.fit(..., callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True)])""",
    ("numerics", ""): f"""\
for layer in model._flatten_layers():
    if hasattr(layer, "moving_mean"):
        mean, variance = layer.moving_mean, layer.moving_variance
        mean.assign(keras.ops.zeros_like(mean))
        variance.assign(keras.ops.ones_like(variance))
{_REESTIMATE}""",
    ("samples", "classes"): "y = np.array({change})[y]  # evaluation's labels, as fit's data number them",
    ("samples", "apart"): """\
xs, ys = zip(*[batch[:2] for batch in train_ds])  # both from one pass
x, y = np.concatenate(xs), np.concatenate(ys)""",
    ("numerics", "loss"): """\
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)  # and no softmax at the model's end""",
    ("metric", "loss"): """\
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)  # where the model ends without a softmax""",
    ("numerics", "layer"): """\
for layer in model._flatten_layers():
    for value in layer.weights:
        print(value.path, float(keras.ops.max(keras.ops.abs(value))))""",
    ("numerics", "half"): """\
loss = keras.losses.get(model.loss)
def in_float32(y, outputs):  # what the loss itself casts to half precision must go
    return loss(keras.ops.cast(y, "float32"), keras.ops.cast(outputs, "float32"))
model.compile(model.optimizer, in_float32)  # with your metrics""",
    (
        "numerics",
        "reported",
    ): "model.fit(train_ds, shuffle=False, callbacks=[keras.callbacks.TerminateOnNaN()])",
    ("numerics", "compiled"): """\
model.compile(model.optimizer, model.loss, jit_compile=False)  # with your metrics
x = (x - x.mean(0)) / x.std(0)  # in float64, before it trains""",
}
CODE |= {
    (cause, "own-step"): code.replace(_REESTIMATE.rpartition("\n")[0], _BY_STEP.rpartition("\n")[0])
    for (cause, detail), code in CODE.items()
    if not detail and _REESTIMATE.rpartition("\n")[0] in code
}
