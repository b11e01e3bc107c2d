"""What batch normalisation does in the Keras release that runs this, measured: JSON on standard output.

For Python 3.6 to 3.11 and every Keras since 1.2.2. It drives the public API only, and each row's ``code``, see
`rows`, is the very text that was run. A fact is told by comparing what the release computed in float32 with what
follows, in float64, from each answer that there could be, see `rules`.

    python probe.py keras | tensorflow.keras | tf_keras
"""

import importlib
import json
import os
import sys
import tempfile

import numpy as np
from rows import FIRST_STEP, FLAT, ROWS
from rules import rule, told

SIDE, CHANNELS = 2, 3
RATE = 1e-3


class Release:
    """The modules of one Keras and what differs between them in calling it."""

    def __init__(self, package):
        self.keras = importlib.import_module(package)
        self.package = package
        part = {name: importlib.import_module(package + "." + name) for name in ("layers", "models")}
        self.layers, self.models = part["layers"], part["models"]
        self.backend = importlib.import_module(package + ".backend")
        optimizers = importlib.import_module(package + ".optimizers")
        self.sgd = optimizers.SGD
        self.adam_epsilon = optimizers.Adam().get_config()["epsilon"]
        if package == "tensorflow.keras":
            import tensorflow

            self.version = tensorflow.__version__
        else:
            self.version = self.keras.__version__

    def packages(self):
        """The versions of what ran."""
        import tensorflow

        versions = {"tensorflow": tensorflow.__version__, "numpy": np.__version__}
        versions["python"] = ".".join(map(str, sys.version_info[:3]))
        return dict(versions, **({} if self.package == "tensorflow.keras" else {self.package: self.version}))

    def recorder(self):
        """Make an SGD that notes for which variables it is handed a gradient."""

        class Recorder(self.sgd):
            trained = ()

            def get_updates(self, *args, **kwargs):
                parameters = [value for value in args + tuple(kwargs.values()) if isinstance(value, list)]
                self.trained = parameters[0]
                return super(Recorder, self).get_updates(*args, **kwargs)

            def apply_gradients(self, grads_and_vars, *args, **kwargs):
                pairs = list(grads_and_vars)
                self.trained = [variable for gradient, variable in pairs if gradient is not None]
                return super(Recorder, self).apply_gradients(pairs, *args, **kwargs)

        return Recorder(RATE)

    def names(self):
        """What a row's code may use."""
        layers, models = self.layers, self.models
        new = {
            "K": self.backend,
            "Model": models.Model,
            "Dense": layers.Dense,
            "BatchNormalization": layers.BatchNormalization,
            "bn": layers.BatchNormalization(name="bn"),
            "images": layers.Input((SIDE, SIDE, CHANNELS)),
            "inputs": layers.Input((SIDE, SIDE, CHANNELS)),
            "rows": layers.Input((CHANNELS,)),
            "compile": lambda model: model.compile(self.recorder(), "mse"),
        }

        def head(x):
            flat = layers.Flatten()(x) if len(x.shape if hasattr(x, "shape") else x._keras_shape) > 2 else x
            return layers.Dense(1, name="dense")(flat)

        new["head"] = head
        return new


class Subject:
    """A row's model under way: the layer, the head, and what the next batch is."""

    def __init__(self, release, model):
        self.release, self.model = release, model
        self.bn, self.dense = find(model, "bn"), find(model, "dense")
        self.rows = len(model.input_shape) == 2
        self.step = 0

    def start(self):
        """Give every weight a value of its own, far from the initial one and from the data's."""
        rng = np.random.RandomState(7)
        vector = [rng.uniform(low, high, CHANNELS) for low, high in ((0.5, 2), (-1, 1), (-3, -1), (0.5, 2))]
        self.bn.set_weights(vector)
        self.dense.set_weights([rng.uniform(0.2, 1, self.dense.get_weights()[0].shape), np.array([0.3])])

    def state(self):
        """Gamma, beta, moving mean, moving variance, kernel and bias, in float64."""
        return [np.array(w, "float64") for w in self.bn.get_weights() + self.dense.get_weights()]

    def data(self):
        """The next batch."""
        self.step += 1
        return data(self.step, self.rows)

    def train(self, how="train_on_batch"):
        """Take one step; say which statistics it used, what it changed, and what it was."""
        (x, y), before = self.data(), self.state()
        if how == "fit":
            loss = self.model.fit(x, y, len(x), 1, 0).history["loss"][0]
        else:
            loss = self.model.train_on_batch(x, y)
        after = self.state()
        # nothing orders TensorFlow 1's updates after the reads: the moving statistics may be half updated by then
        moved = [
            [*before[:2], mean, variance, *before[4:]]
            for mean in (before[2], after[2])
            for variance in (before[3], after[3])
        ]
        used = told(loss, x, y, *moved)
        changed = [not np.array_equal(a, b) for a, b in zip(before, after)]
        facts = {"fit": used, "updates": changed[2] or changed[3], "change": changed[0] or changed[1]}
        return dict(facts, head=changed[4]), (x, before, after)

    def evaluate(self):
        """Say which statistics an evaluation of the next batch uses."""
        (x, y), state = self.data(), self.state()
        return told(self.model.test_on_batch(x, y), x, y, state, state)

    def brief(self, how="train_on_batch"):
        """The facts that can be measured at any time."""
        facts = self.train(how)[0]
        facts["evaluate"] = self.evaluate()
        return facts


def data(seed, rows):
    """Four samples whose statistics are nobody's initial values, and targets."""
    rng = np.random.RandomState(seed)
    shape = (4, CHANNELS) if rows else (4, SIDE, SIDE, CHANNELS)
    x = rng.normal(size=shape) * rng.uniform(1, 3, CHANNELS) + rng.uniform(1, 4, CHANNELS)
    return x.astype("float32"), rng.normal(size=(4, 1)).astype("float32")


def find(model, name):
    """Find a layer by its name, in the models within a model, too."""
    for layer in model.layers:
        if layer.name == name:
            return layer
        found = find(layer, name) if hasattr(layer, "layers") else None
        if found is not None:
            return found
    return None


def run(release, code):
    """Run a row's code; hand back its model, weights given, and the first step if the code takes one."""
    release.backend.clear_session()
    names = release.names()
    code, _, later = code.partition(FIRST_STEP)
    exec(code, names)
    subject = Subject(release, names["model"])
    subject.start()
    first = [subject.train()[1]] if later else []
    exec(later, names)
    return subject, first


def measure(release, spelling, code):
    """Measure one row."""
    subject, steps = run(release, code)
    seen = []
    for _ in range(3):
        facts, step = subject.train()
        seen.append(facts)
        steps.append(step)
    fact = dict(seen[0], evaluate=subject.evaluate())
    trained = subject.model.optimizer.trained
    bn = subject.bn
    gradient = any(variable is bn.gamma or variable is bn.beta for variable in trained)
    kind, notes = (None, [])
    if fact["updates"]:
        kind, said = rule(steps)
        notes.append(said)
    if any(facts != seen[0] for facts in seen):
        raise ArithmeticError("%s changes from step to step: %s" % (spelling, seen))
    if not fact["head"]:
        notes.append("the head doesn't train either")
    late = spelling.endswith(("after compile", "after the first step"))
    survives, found = {}, {}
    for what, act in (("fit", fitted), ("compile", compiled), ("save_load", saved)):
        found[what] = act(release, run(release, code)[0])
        survives[what] = None if late and what != "fit" else found[what] == fact
        if found[what] != fact:
            notes.append("after %s: %s" % (what, words(found[what])))
    return {
        "spelling": spelling,
        "code": code,
        "facts": {
            "fit": fact["fit"],
            "updates": "yes" if fact["updates"] else "no",
            "rule": kind,
            "gamma_beta_gradient": gradient,
            "gamma_beta_change": fact["change"],
            "evaluate": fact["evaluate"],
            "survives": {what: survives[what] for what in ("compile", "fit", "save_load")},
        },
        "note": "; ".join(notes),
    }


def fitted(release, subject):
    """What is measured of ``fit`` after a ``fit``."""
    subject.train("fit")
    return subject.brief("fit")


def compiled(release, subject):
    """What is measured after another ``compile``."""
    subject.train()
    subject.model.compile(release.recorder(), "mse")
    return subject.brief()


def saved(release, subject):
    """What is measured of the model that ``load_model`` brings back."""
    subject.train()
    subject.model.compile(release.sgd(RATE), "mse")  # one that load_model knows
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "model.h5")
    subject.model.save(path)
    model = release.models.load_model(path)
    os.remove(path)
    os.rmdir(folder)
    model.compile(release.recorder(), "mse")
    again = Subject(release, model)
    again.step = 50
    return again.brief()


# the samples' losses: 1 in the first batch of 4, 9 in the second, 100 in a last one of 2
EPOCH = """model.compile(SGD(0.0), "mse")
fit = model.fit(x, y, 4, 1, 0, shuffle=False)
evaluate = model.evaluate(x, y, 4, 0)
generator_fit = model.{fit}(batches(), {length}, 1, verbose=0)
generator_evaluate = model.{evaluate}(batches(), {steps})
"""
EPOCH_LOSSES = {24.0: "the samples' mean", 36.667: "the batches' mean", 100.0: "the last batch's alone"}


def epoch_averages(release):
    """Measure how the losses of batches of 4, 4 and 2 become an epoch's."""
    release.backend.clear_session()
    x = np.array([1.0] * 4 + [3.0] * 4 + [10.0] * 2, "float32")[:, None]
    names = {"SGD": release.sgd, "x": x, "y": 0 * x, "batches": lambda: batches(x, 0 * x)}
    inputs = release.layers.Input((1,))
    names["model"] = model = release.models.Model(inputs, release.layers.Dense(1, name="dense")(inputs))
    model.layers[-1].set_weights([np.ones((1, 1)), np.zeros(1)])
    first = release.version.startswith("1.2")  # counts samples, not steps
    named = hasattr(model, "evaluate_generator")
    code = EPOCH.format(
        length=10 if first else 3 if named else "None, None",
        steps=10 if first else 3 if named else "steps=3, verbose=0",
        fit="fit_generator" if named else "fit",
        evaluate="evaluate_generator" if named else "evaluate",
    )
    if not named:
        code = code.replace("None, None, 1, verbose=0", "steps_per_epoch=3, verbose=0")
    exec(code, names)
    found = {}
    for what in ("fit", "evaluate", "generator_fit", "generator_evaluate"):
        loss = getattr(names[what], "history", {"loss": names[what]})["loss"]
        found[what] = EPOCH_LOSSES[round(float(np.ravel(loss)[0]), 3)]
    row = measure(
        release,
        "epoch averages of " + ("fit_generator, evaluate_generator" if named else "fit, evaluate"),
        FLAT,
    )
    row["code"] = code
    row["epoch_loss"] = found
    row["note"] = "the loss of an epoch: " + "; ".join(
        "%s: %s" % (what, found[what]) for what in sorted(found)
    )
    return row


def batches(x, y):
    """Yield batches of 4, 4 and 2 for good."""
    while True:
        for start in (0, 4, 8):
            yield x[start : start + 4], y[start : start + 4]


def words(facts):
    """Say facts in words."""
    return "fit normalises with %s, moving statistics %s, gamma and beta %s, evaluate with %s" % (
        facts["fit"] if facts["fit"] == "neither" else "the %s statistics" % facts["fit"],
        "updated" if facts["updates"] else "kept",
        "change" if facts["change"] else "stay",
        facts["evaluate"] if facts["evaluate"] == "neither" else "the %s ones" % facts["evaluate"],
    )


def main():
    """Measure every row that this release takes."""
    release = Release(sys.argv[1])
    rows = []
    for spelling, code in ROWS:
        try:
            rows.append(measure(release, spelling, code))
        except TypeError as error:  # an argument that this release doesn't take
            sys.stderr.write("%s: no %s (%s)\n" % (release.version, spelling, error))
    rows.append(epoch_averages(release))
    found = {"packages": release.packages(), "adam_epsilon": release.adam_epsilon, "rows": rows}
    json.dump(found, sys.stdout)


main()
