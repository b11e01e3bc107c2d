"""Optimizers, as Keras computes them.

Keras's own are both the ``native`` and the ``matched`` ones: PyTorch's side takes over their numbers.

DIFFERS: Keras on TensorFlow rounds SGD's momentum, the powers of Adam's betas, AdamW's decay and L2's factor to
float32, whatever the variables' dtype; on JAX and on PyTorch it rounds none of them. In float64 the first step of Adam
is apart by 3e-6 between the two, unless TensorFlow's is `unrounded`.
"""

import keras
import numpy as np

from .keeping import value
from .names import of_weights
from .releases import release_of

NAMES = ("adam", "adamw", "rmsprop", "sgd")


def make(name, model, learning_rate=1e-3, numerics="native", *, momentum=0.0, weight_decay=0.0, release=None):
    """Make the optimizer of a model's trainable parameters.

    Args:
        name: one of `NAMES`.
        model: the model to train, with the policy already set; Keras asks for its variables at the first step.
        learning_rate: step size.
        numerics: ``native`` and ``matched`` are the same here; PyTorch's side takes over these numbers.
        momentum: of ``sgd``.
        weight_decay: of ``adamw`` on all parameters; of ``sgd`` coupled, on kernels only.
        release: one of `releases.RELEASES`, for ``adam`` and ``sgd`` as that Keras computed them.

    DIFFERS: coupled decay is ``L2(weight_decay / 2)`` on the kernels and so part of the loss.

    Raises:
        ValueError: an unknown name, or an argument that the optimizer doesn't have.
    """
    _check(name, momentum, weight_decay, release)
    if release is not None and name == "adam":
        return keras.optimizers.Adam(learning_rate, epsilon=release_of(release).adam_epsilon)
    if name == "adam":
        return keras.optimizers.Adam(learning_rate)
    if name == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    if name == "rmsprop":
        return keras.optimizers.RMSprop(learning_rate)
    for kernel in _kernels(model):
        kernel.regularizer = keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    return keras.optimizers.SGD(learning_rate, momentum=momentum)


def adam(model, learning_rate=1e-3, numerics="native", release=None):
    """Make Adam: `make` with that name."""
    return make("adam", model, learning_rate, numerics, release=release)


def unrounded(model, optimizer):
    """Have an optimizer compute on TensorFlow in the variables' dtype, as on every other backend; return it.

    A Python number becomes a float32 tensor there before it becomes one of the variables' dtype; a numpy number
    brings its own dtype.
    """
    for name in ("beta_1", "beta_2", "momentum", "weight_decay"):
        if getattr(optimizer, name, None):
            setattr(optimizer, name, np.float64(getattr(optimizer, name)))
    for kernel in _kernels(model):
        if kernel.regularizer:
            kernel.regularizer.l2 = np.float64(kernel.regularizer.l2)
    return optimizer


def penalty(model, optimizer=None):
    """Compute the part of the loss that depends on the weights alone, in training and in evaluation.

    DIFFERS: it is in the loss that Keras reports, whatever the optimizer; PyTorch's weight decay is the optimizer's,
    so that only one that computes as Keras does has a penalty.
    """
    weights = [weight for weight in model.trainable_weights if weight.regularizer]
    return float(sum(keras.ops.convert_to_numpy(weight.regularizer(weight)) for weight in weights))


def configuration(model, optimizer):
    """Read an optimizer's constants off it (and, for Keras's coupled weight decay, off the model).

    Returns:
        ``kind`` and those of ``learning_rate``, ``momentum``, ``decays``, ``epsilon``, ``epsilon_place`` and
        ``weight_decay`` that it has. ``epsilon_place`` says where it is added: ``uncorrected root`` (Keras's
        Adam), ``corrected root`` (PyTorch's), ``root`` or ``square`` (RMSprop's).
    """
    kind = type(optimizer).__name__.lower()
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    facts = {"kind": kind, "learning_rate": rate, "weight_decay": optimizer.weight_decay or 0.0}
    if kind == "sgd":
        coupled = {
            float(2 * kernel.regularizer.l2) if kernel.regularizer else 0.0 for kernel in _kernels(model)
        }
        return {**facts, "weight_decay": max(coupled), "momentum": optimizer.momentum}
    facts["epsilon"] = optimizer.epsilon
    if kind == "rmsprop":
        return {**facts, "decays": [optimizer.rho], "epsilon_place": "square"}
    decays = [optimizer.beta_1, optimizer.beta_2]
    return {**facts, "kind": "adam", "decays": decays, "epsilon_place": "uncorrected root"}


def to_arrays(model, optimizer):
    """Copy an optimizer's state: ``step`` and, by slot and neutral name, ``momentum/...``, ``velocity/...``.

    Values are those of Keras's slots. DIFFERS: PyTorch's SGD keeps the momentum without sign and learning rate.
    """
    arrays = {name: value(slot) for name, slot in _slots(model, optimizer).items()}
    return {**arrays, "step": value(optimizer.iterations)}


def from_arrays(model, optimizer, arrays):
    """Set an optimizer's state to copies of what `to_arrays` of either framework returned.

    Raises:
        KeyError: a parameter has no such array, though steps were taken.
    """
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(int(arrays["step"]))
    for name, slot in _slots(model, optimizer).items():
        fresh = not int(arrays["step"]) and name not in arrays
        slot.assign(np.zeros(slot.shape, slot.dtype) if fresh else arrays[name])


def _check(name, momentum, weight_decay, release):
    if name not in NAMES:
        raise ValueError(f"name is {name!r}; it can be {', '.join(NAMES)}")
    if momentum and name != "sgd":
        raise ValueError(f"momentum is {momentum}; only sgd has one, not {name}")
    if weight_decay and name not in ("sgd", "adamw"):
        raise ValueError(f"weight_decay is {weight_decay}; only sgd and adamw have one, not {name}")
    if release is not None and name not in ("adam", "sgd"):
        raise ValueError(
            f"release is {release!r}; only adam and sgd are known as it computed them, not {name}"
        )


def _kernels(model):
    return [weight for name, weight in of_weights(model).items() if name.endswith("/kernel")]


def _slots(model, optimizer):
    """Map slot and neutral name to the optimizer's variables, which carry the weight's path and the slot's name."""
    own = {variable.name: variable for variable in optimizer.variables}
    slots = {}
    for name, weight in of_weights(model).items():
        for slot in ("momentum", "velocity"):
            variable = own.get(f"{weight.path.replace('/', '_')}_{slot}")
            if variable is not None:
                slots[f"{slot}/{name}"] = variable
    return slots
