"""Training steps of any model, on inputs and targets that both frameworks are given."""

from math import prod

import keras
import numpy as np
from keras import ops, tree

from . import observing


class Steps:
    """A model in training; dropout and other noise are off.

    Args:
        model: a model.
        optimizer: settings: ``kind`` (of `optimizers.NAMES`), ``learning_rate`` and what else it has.
        loss: ``kind``, one of `LOSSES`, and ``logits``.
        head: paths of layers whose softmax or sigmoid at the end is left out; none if None.
    """

    def __init__(self, model, optimizer, loss, head=None):
        self.model, self.settings, self.head = model, loss, head or ()
        self.optimizer = make(optimizer, None)
        names = {id(variable): name for name, (variable, _) in observing.variables(model).items()}
        self.names = [names.get(id(variable), variable.path) for variable in model.trainable_variables]
        self.gradients = []
        apply = self.optimizer.apply

        def recording(gradients, variables=None):
            # an embedding's come row by row; Keras's Adam squares each of a repeated row's apart, PyTorch's their sum
            whole = [None if g is None else ops.convert_to_tensor(ops.convert_to_numpy(g)) for g in gradients]
            self.gradients = [
                np.zeros(v.shape, keras.config.floatx()) if g is None else np.array(ops.convert_to_numpy(g))
                for g, v in zip(whole, self.model.trainable_variables, strict=True)
            ]
            return apply(whole, variables)

        object.__setattr__(self.optimizer, "apply", recording)

    def step(self, inputs, targets):
        """Take one step.

        Returns:
            The loss before it, its penalty's part, and the gradients by name.
        """
        model = self.model
        with observing.quiet(model), _Without(model, self.head):
            model.compile(self.optimizer, loss=self._losses(targets), run_eagerly=True, jit_compile=False)
            penalty = float(sum(float(one) for one in self._penalties()))
            coupled = self._coupled()
            found = model.train_on_batch(_given(inputs), _given(targets), return_dict=True)
        gradients = {n: g - coupled.get(n, 0.0) for n, g in zip(self.names, self.gradients, strict=True)}
        return float(found["loss"]), penalty, gradients

    def evaluate(self, inputs, targets):
        """Loss and outputs in inference mode."""
        with observing.quiet(self.model), _Without(self.model, self.head):
            tensors = [observing.tensor(x) for x in inputs]
            found = self.model(tensors if len(tensors) > 1 else tensors[0], training=False)
            outputs = tree.flatten(found)[: len(targets)]
            total = sum(
                float(loss(x, observing.tensor(y), self.settings))
                for x, y in zip(outputs, targets, strict=True)
            )
        return total, [np.array(ops.convert_to_numpy(x)) for x in outputs]

    def to_arrays(self):
        """Copy all arrays of the model."""
        return arrays(self.model)

    def _losses(self, targets):
        def one(y_true, y_pred):
            return loss(y_pred, y_true, self.settings)

        structure = getattr(self.model, "output", None)
        if isinstance(structure, dict):
            return dict.fromkeys(structure, one)
        return one if len(targets) == 1 else [one] * len(targets)

    def _coupled(self):
        """The penalties' part of each gradient: DIFFERS: PyTorch's optimizers add it, here it is in the loss."""
        found = {}
        for name, variable in zip(self.names, self.model.trainable_variables, strict=True):
            factor = getattr(variable.regularizer, "l2", None)
            if factor is not None:
                found[name] = 2 * _kept(factor) * np.array(ops.convert_to_numpy(variable.value))
        return found

    def _penalties(self):
        return [
            variable.regularizer(variable)
            for variable in self.model.trainable_variables
            if variable.regularizer
        ]


def loss(outputs, targets, settings):
    """The loss of a batch: the mean over what has one, or the sum.

    Args:
        outputs, targets: ``(N, ..., C)``; targets are one-hot or numbers.
        settings: ``kind`` is ``crossentropy``, ``binary``, ``mse`` or ``mae``; ``logits`` says what outputs are,
            ``summed`` whether to add up.
    """
    mean = _mean(outputs, targets, settings)
    return mean * prod(outputs.shape[:-1]) if settings.get("summed") else mean


def _mean(outputs, targets, settings):
    targets = ops.reshape(ops.cast(targets, outputs.dtype), ops.shape(outputs))
    kind, smoothing = settings["kind"], settings.get("smoothing", 0.0)
    if kind == "crossentropy":
        targets = targets * (1 - smoothing) + smoothing / outputs.shape[-1]
        logs = (
            ops.log_softmax(outputs, -1)
            if settings["logits"]
            else ops.log(outputs / ops.sum(outputs, -1, keepdims=True))
        )
        return -ops.mean(ops.sum(targets * logs, -1))
    if kind == "binary":
        targets = targets * (1 - smoothing) + 0.5 * smoothing
        if settings["logits"]:
            soft = ops.log1p(ops.exp(-ops.abs(outputs)))
            return ops.mean(ops.maximum(outputs, ops.zeros_like(outputs)) - outputs * targets + soft)
        return -ops.mean(targets * ops.log(outputs) + (1 - targets) * ops.log(1 - outputs))
    if kind == "mae":
        return ops.mean(ops.abs(outputs - targets))
    return ops.mean(ops.square(outputs - targets))


def arrays(model):
    """Copy a model's floating-point arrays: name -> array, in Keras's layout."""
    found = observing.variables(model)
    return {name: np.array(ops.convert_to_numpy(variable.value)) for name, (variable, _) in found.items()}


def assign(model, values):
    """Set arrays of a model to copies of ``values``."""
    found = observing.variables(model)
    for name, value in values.items():
        found[name][0].assign(np.array(value))
    for _, layer in observing.paths(model).values():
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()  # it computes with copies of its arrays


def make(settings, parameters):
    """Make an optimizer.

    Args:
        settings: ``kind``, ``learning_rate``, and of ``momentum``, ``nesterov``, ``decays``, ``epsilon``, ``amsgrad``,
            ``centered``, ``accumulator`` and ``weight_decay`` what it has.
        parameters: name -> parameter; Keras asks for its variables at the first step.
    """
    kind, rate = settings["kind"], settings["learning_rate"]
    momentum, epsilon = settings.get("momentum", 0.0), settings.get("epsilon", 1e-7)
    if kind == "sgd":
        return keras.optimizers.SGD(rate, momentum, settings.get("nesterov", False))
    if kind == "rmsprop":
        rho, centered = settings.get("decays", [0.9])[0], settings.get("centered", False)
        return keras.optimizers.RMSprop(rate, rho, momentum, epsilon, centered)
    if kind == "adagrad":
        return keras.optimizers.Adagrad(rate, settings.get("accumulator", 0.1), epsilon)
    beta1, beta2 = settings.get("decays", (0.9, 0.999))
    amsgrad = settings.get("amsgrad", False)
    if kind == "adamw":
        return keras.optimizers.AdamW(rate, settings.get("weight_decay", 0.0), beta1, beta2, epsilon, amsgrad)
    return keras.optimizers.Adam(rate, beta1, beta2, epsilon, amsgrad)


def configuration(optimizer):
    """Read an optimizer's settings off it, in the words that `make` takes; ``kind`` is empty for an unknown one."""
    kind = type(optimizer).__name__.lower()
    rate = float(ops.convert_to_numpy(optimizer.learning_rate))
    facts = {"kind": kind, "learning_rate": rate, "weight_decay": float(optimizer.weight_decay or 0.0)}
    facts["more"] = _more(optimizer)
    if kind == "sgd":
        facts |= {"momentum": float(optimizer.momentum), "nesterov": bool(optimizer.nesterov)}
        return {**facts, "dampening": 0.0}
    if kind == "adam" and facts["weight_decay"]:
        facts["kind"] = "adamw"  # any of Keras's optimizers decays apart from the gradient
    if kind in ("adam", "adamw"):
        decays = [float(optimizer.beta_1), float(optimizer.beta_2)]
        return {
            **facts,
            "decays": decays,
            "epsilon": float(optimizer.epsilon),
            "amsgrad": bool(optimizer.amsgrad),
        }
    if kind == "rmsprop":
        momentum = float(optimizer.momentum)
        return {
            **facts,
            "decays": [float(optimizer.rho)],
            "epsilon": float(optimizer.epsilon),
            "momentum": momentum,
            "centered": bool(optimizer.centered),
        }
    if kind in ("adagrad", "adadelta", "adamax", "nadam"):
        facts["epsilon"] = float(optimizer.epsilon)
    if kind == "adagrad":
        return {**facts, "accumulator": float(optimizer.initial_accumulator_value), "rate_decay": 0.0}
    if kind == "adadelta":
        return {**facts, "decays": [float(optimizer.rho)]}
    if kind in ("adamax", "nadam"):
        facts["decays"] = [float(optimizer.beta_1), float(optimizer.beta_2)]
    # Nesterov's momentum warms up by 0.96 to the step's power; in PyTorch that power has a factor
    return facts | ({"momentum_decay": 1.0} if kind == "nadam" else {})


def _more(optimizer):
    """What an optimizer does besides, which PyTorch has in a training loop."""
    names = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")
    found = [f"{name}={getattr(optimizer, name)}" for name in names if getattr(optimizer, name, None)]
    if getattr(optimizer, "use_ema", False):
        found.append("use_ema=True")
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        found.append(f"learning rate ({type(schedule).__name__})")
    return found


def decayed(model, optimizer):
    """array -> its factors of weight decay: twice its L2 penalty's, which is in the gradient, and the optimizer's.

    DIFFERS: Keras's optimizers all decay apart from the gradient; PyTorch's AdamW does, its others decay in it.
    """
    found = {}
    own = float(optimizer.weight_decay or 0.0) if optimizer is not None else 0.0
    for name, (variable, _) in observing.variables(model).items():
        if variable.trainable:
            coupled = 2 * float(getattr(variable.regularizer, "l2", 0.0) or 0.0)
            found[name] = [coupled, own if own and optimizer._use_weight_decay(variable) else 0.0]
    return found


def penalties(model):
    """array -> twice the factor of its L2 penalty, as the backend computes with it."""
    return {
        name: 2 * _kept(variable.regularizer.l2)
        for name, (variable, _) in observing.variables(model).items()
        if variable.trainable and getattr(variable.regularizer, "l2", None) is not None
    }


def _kept(factor):
    """DIFFERS: TensorFlow computes with a factor rounded to float32, in float64 as well; JAX and PyTorch don't."""
    return float(np.float32(factor)) if keras.backend.backend() == "tensorflow" else float(factor)


def added(model):
    """array or layer -> what else it adds to the loss, in words: all but L2 penalties, which a weight decay can be."""
    found = {}
    for name, (variable, _) in observing.variables(model).items():
        penalty = variable.regularizer if variable.trainable else None
        factor = float(getattr(penalty, "l1", 0.0) or 0.0)
        if factor:
            found[name] = f"{factor:g} times the sum of the absolute values of {name}"
        elif penalty is not None and not hasattr(penalty, "l2"):
            found[name] = f"a {type(penalty).__name__} of {name}"
    for path, layer in observing.paths(model).values():
        penalty = getattr(layer, "activity_regularizer", None)
        if penalty is not None:
            found[path] = f"{_written(penalty)} of what {path} computes, divided by the batch size"
    return found


def constrained(model):
    """array -> the constraint that it is put back under after every step."""
    found = observing.variables(model).items()
    return {name: type(v.constraint).__name__ for name, (v, _) in found if getattr(v, "constraint", None)}


def _written(penalty):
    factors = {name: float(getattr(penalty, name, 0.0) or 0.0) for name in ("l1", "l2")}
    parts = [f"{factor:g} times {name}" for name, factor in factors.items() if factor]
    return " and ".join(parts) or f"a {type(penalty).__name__}"


class _Without:
    """Leave out what layers at the end make of logits, for as long as the context lasts."""

    def __init__(self, model, head):
        layers = dict(observing.paths(model).values())
        self.layers = [layers[path] for path in head]

    def __enter__(self):
        self.kept = []
        for layer in self.layers:
            fused = hasattr(layer, "activation") and not isinstance(layer, keras.layers.Activation)
            key = "activation" if fused else "call"
            self.kept.append((layer, key, layer.__dict__.get(key)))
            object.__setattr__(layer, key, lambda x, *args, **kwargs: x)

    def __exit__(self, *exception):
        for layer, key, before in self.kept:
            if key == "call" and before is None:
                object.__delattr__(layer, key)
            else:
                object.__setattr__(layer, key, before)


def _given(arrays_):
    arrays_ = [
        x.astype(keras.config.floatx()) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in arrays_
    ]
    return arrays_ if len(arrays_) > 1 else arrays_[0]
