"""Optimizers, as PyTorch computes them and as Keras does.

PyTorch's own are the ``native`` ones. `KerasSGD`, `KerasRMSprop`, `KerasAdam` and `KerasAdagrad`, the ``matched``
ones, compute what Keras computes, operation by operation; take them into a port that must train as the original did.

DIFFERS: Keras on TensorFlow rounds SGD's momentum, the powers of Adam's betas, AdamW's decay, L2's factor and what
Adagrad begins with to float32, whatever the parameters' dtype. With the textbook's betas a float64 step is off by
3e-6. Keras on JAX and on PyTorch rounds none of them: set the attribute ``rounds`` to False.
"""

import numpy as np
import torch

from .names import of_state, to_array, to_tensor
from .releases import release_of

NAMES = ("adam", "adamw", "rmsprop", "sgd")
_SLOTS = {"exp_avg": "momentum", "exp_avg_sq": "velocity", "square_avg": "velocity"}


def make(name, model, learning_rate=1e-3, numerics="native", *, momentum=0.0, weight_decay=0.0, release=None):
    """Make the optimizer of a model's trainable parameters.

    Args:
        name: one of `NAMES`.
        model: the module to train, with the policy already set; parameters that need no gradient are left out.
        learning_rate: step size.
        numerics: ``native`` for PyTorch's optimizers, ``matched`` for those here that compute what Keras does.
        momentum: of ``sgd``.
        weight_decay: of ``adamw`` on all parameters; of ``sgd`` coupled, on kernels only.
        release: one of `releases.RELEASES`, for ``adam`` and ``sgd`` as that Keras computed them.

    DIFFERS: coupled decay is part of the step, where Keras writes ``L2(weight_decay / 2)`` into the loss.

    Raises:
        ValueError: an unknown name, or an argument that the optimizer doesn't have.
    """
    _check(name, momentum, weight_decay, release)
    parameters = [p for p in model.parameters() if p.requires_grad]
    matched = numerics == "matched" or release is not None
    if release is not None and name == "adam":
        return KerasAdam(parameters, lr=learning_rate, eps=release_of(release).adam_epsilon)
    if name == "adam":
        return (KerasAdam if matched else torch.optim.Adam)(parameters, lr=learning_rate)
    if name == "adamw":
        return (KerasAdam if matched else torch.optim.AdamW)(
            parameters, lr=learning_rate, weight_decay=weight_decay
        )
    if name == "rmsprop":
        return (KerasRMSprop if matched else torch.optim.RMSprop)(parameters, lr=learning_rate)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return (KerasSGD if matched else torch.optim.SGD)(groups, lr=learning_rate, momentum=momentum)


def adam(model, learning_rate=1e-3, numerics="native", release=None):
    """Make Adam: `make` with that name."""
    return make("adam", model, learning_rate, numerics, release=release)


def penalty(model, optimizer=None):
    """Compute the part of the loss that depends on the weights alone, in training and in evaluation.

    DIFFERS: Keras's coupled weight decay is part of the loss that it reports, half of it times the sum of the
    kernels' squares; PyTorch's is the optimizer's, so that only one that computes as Keras does has a penalty.
    """
    if not isinstance(optimizer, KerasSGD):
        return 0.0
    return sum(
        optimizer.rounded(group["weight_decay"]) / 2 * parameter.detach().square().sum().item()
        for group in optimizer.param_groups
        for parameter in group["params"]
        if group["weight_decay"]
    )


def configuration(model, optimizer):
    """Read an optimizer's constants off it (and, for Keras's coupled weight decay, off the model).

    Returns:
        ``kind`` and those of ``learning_rate``, ``momentum``, ``decays``, ``epsilon``, ``epsilon_place`` and
        ``weight_decay`` that it has. ``epsilon_place`` says where it is added: ``uncorrected root`` (Keras's
        Adam), ``corrected root`` (PyTorch's), ``root`` or ``square`` (RMSprop's).
    """
    group = optimizer.param_groups[0]
    keras = isinstance(optimizer, _Keras)
    kind = type(optimizer).__name__.removeprefix("Keras").lower()
    facts = {"kind": kind, "learning_rate": group["lr"], "weight_decay": group["weight_decay"]}
    if kind == "sgd":
        return {**facts, "momentum": group["momentum"]}
    facts["epsilon"] = group["eps"]
    if kind == "rmsprop":
        return {**facts, "decays": [group["alpha"]], "epsilon_place": "square" if keras else "root"}
    place = "uncorrected root" if keras else "corrected root"
    return {**facts, "kind": "adam", "decays": list(group["betas"]), "epsilon_place": place}


def to_arrays(model, optimizer):
    """Copy an optimizer's state: ``step`` and, by slot and neutral name, ``momentum/...``, ``velocity/...``.

    Values are those of Keras's slots. DIFFERS: PyTorch's SGD keeps the momentum without sign and learning rate.
    """
    arrays, steps = {}, 0
    for group in optimizer.param_groups:
        for name, key, parameter in _parameters(model, group):
            for slot, value in optimizer.state.get(parameter, {}).items():
                if slot == "step":
                    steps = int(value)
                elif slot == "momentum_buffer":
                    if value is not None:
                        arrays[f"momentum/{name}"] = to_array(-group["lr"] * value, key)
                else:
                    arrays[f"{_SLOTS.get(slot, slot)}/{name}"] = to_array(value, key)
    return {**arrays, "step": np.array(steps)}


def from_arrays(model, optimizer, arrays):
    """Set an optimizer's state to copies of what `to_arrays` of either framework returned.

    Raises:
        KeyError: a parameter has no such array, though steps were taken.
    """
    optimizer.state.clear()
    steps = int(arrays["step"])
    for group in optimizer.param_groups:
        for name, key, parameter in _parameters(model, group):
            if not steps and not any(f"{kind}/{name}" in arrays for _, kind in _slots_of(optimizer, group)):
                continue
            state = {
                slot: torch.empty_like(parameter).copy_(to_tensor(arrays[f"{kind}/{name}"], key))
                for slot, kind in _slots_of(optimizer, group)
            }
            if "momentum_buffer" in state:
                state["momentum_buffer"] /= -group["lr"]
            if not isinstance(optimizer, torch.optim.SGD):
                state["step"] = steps if isinstance(optimizer, _Keras) else torch.tensor(float(steps))
            optimizer.state[parameter] = state


class _Keras(torch.optim.Optimizer):
    """What they have in common: a step over all parameters that have a gradient."""

    slots: tuple[str, ...] = ()
    start = 0.0  # what the slots begin with
    rounds = True

    def rounded(self, number):
        """Round a number to float32, where Keras does with some of its constants."""
        return float(np.float32(number)) if self.rounds else number

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step on all parameters that have a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    if not state:
                        slots = {
                            slot: torch.full_like(parameter, self.rounded(self.start)) for slot in self.slots
                        }
                        state.update(step=0, **slots)
                    state["step"] += 1
                    self.update(parameter, parameter.grad, state, group)
        return loss


class KerasSGD(_Keras):
    """Keras's SGD: the learning rate is part of the momentum, so a new rate acts on new gradients only.

    Args:
        params: parameters to train, or groups of them.
        lr, momentum: step size, share of the last step that is taken again.
        weight_decay: coupled, twice the factor of Keras's ``L2``. The step adds it to ``.grad``, where Keras has it.
        nesterov: whether the step looks ahead by its momentum.
    """

    slots = ("momentum",)

    def __init__(self, params, lr=1e-2, momentum=0.0, weight_decay=0.0, nesterov=False):
        given = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, given)

    def update(self, parameter, gradient, state, group):
        """Move one parameter."""
        if group["weight_decay"]:
            gradient += parameter * self.rounded(group["weight_decay"])
        if not group["momentum"]:
            parameter -= gradient * group["lr"]
            return
        velocity = state["momentum"]
        share = self.rounded(group["momentum"])
        velocity.mul_(share).sub_(gradient * group["lr"])
        parameter += velocity * share - gradient * group["lr"] if group["nesterov"] else velocity


class KerasRMSprop(_Keras):
    """Keras's RMSprop: epsilon is added to the square, under the root.

    DIFFERS: PyTorch adds it to the root, and its defaults are 0.99 and 1e-8.

    Args:
        params: parameters to train.
        lr, alpha, eps: step size, decay of the mean square, epsilon.
        momentum: share of the last step that is taken again.
        centered: whether the squared mean of the gradient is taken off the mean square.

    Source: Hinton 2012, http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf
    """

    slots = ("velocity",)

    def __init__(self, params, lr=1e-2, alpha=0.9, eps=1e-7, momentum=0.0, centered=False):
        given = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": 0.0}
        super().__init__(params, {**given, "momentum": momentum, "centered": centered})
        self.slots += ("momentum",) * bool(momentum) + ("average_gradient",) * bool(centered)

    def update(self, parameter, gradient, state, group):
        """Move one parameter."""
        square = state["velocity"]
        square.copy_(square * group["alpha"] + gradient.square() * (1 - group["alpha"]))
        if group["centered"]:
            mean = state["average_gradient"]
            mean.copy_(mean * group["alpha"] + gradient * (1 - group["alpha"]))
            square = square - mean.square()
        move = gradient * group["lr"] / (square + group["eps"]).sqrt()
        if group["momentum"]:
            move = state["momentum"].mul_(group["momentum"]).add_(move)
        parameter -= move


class KerasAdam(_Keras):
    """Keras's Adam and AdamW: epsilon is added to the uncorrected root, and is 1e-7.

    DIFFERS: PyTorch divides by ``sqrt(v) / sqrt(1 - beta2**t) + 1e-8``, Keras by ``sqrt(v) + 1e-7`` with the
    correction in the step size. And Keras takes the powers of its betas after rounding them to float32.

    Args:
        params: parameters to train.
        lr, betas, eps: step size, decays of the two moments, epsilon.
        weight_decay: decoupled, as AdamW's.
        amsgrad: whether the largest second moment so far is divided by.

    Source: Kingma and Ba 2014, https://arxiv.org/abs/1412.6980, end of section 2
    """

    slots = ("momentum", "velocity")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-7, weight_decay=0.0, amsgrad=False):
        given = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, given)
        self.slots += ("velocity_hat",) * bool(amsgrad)

    def update(self, parameter, gradient, state, group):
        """Move one parameter."""
        if group["weight_decay"]:
            parameter -= parameter * self.rounded(group["weight_decay"]) * group["lr"]
        beta1, beta2 = group["betas"]
        power1, power2 = (
            torch.tensor(self.rounded(beta), dtype=parameter.dtype) ** state["step"]
            for beta in group["betas"]
        )
        alpha = group["lr"] * (1 - power2).sqrt() / (1 - power1)
        m, v = state["momentum"], state["velocity"]
        m += (gradient - m) * (1 - beta1)
        v += (gradient.square() - v) * (1 - beta2)
        if group["amsgrad"]:
            v = torch.maximum(state["velocity_hat"], v, out=state["velocity_hat"])
        parameter -= m * alpha / (v.sqrt() + group["eps"])


class KerasAdagrad(_Keras):
    """Keras's Adagrad: epsilon is added under the root, and the sum of squares begins at 0.1.

    DIFFERS: PyTorch adds epsilon to the root, and its defaults are 1e-10 and 0.

    Args:
        params: parameters to train.
        lr, eps, initial_accumulator_value: step size, epsilon, what the sum of squares begins with.

    Source: Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html
    """

    slots = ("accumulator",)

    def __init__(self, params, lr=1e-3, eps=1e-7, initial_accumulator_value=0.1):
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": 0.0})
        self.start = initial_accumulator_value

    def update(self, parameter, gradient, state, group):
        """Move one parameter."""
        total = state["accumulator"].add_(gradient.square())
        parameter -= gradient * group["lr"] / (total + group["eps"]).sqrt()


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


def _parameters(model, group):
    """Yield neutral name, key of the state dict and parameter of a group's members."""
    members = {id(parameter) for parameter in group["params"]}
    for key, name in of_state(model.state_dict()).items():
        owner, _, kind = key.rpartition(".")
        parameter = getattr(model.get_submodule(owner), kind)
        if id(parameter) in members:
            yield name, key, parameter


def _slots_of(optimizer, group):
    """Pair the optimizer's names of its slots with Keras's."""
    if isinstance(optimizer, _Keras):
        return [(slot, slot) for slot in optimizer.slots]
    if isinstance(optimizer, torch.optim.SGD):
        return [("momentum_buffer", "momentum")] if group["momentum"] else []
    if isinstance(optimizer, torch.optim.RMSprop):
        return [("square_avg", "velocity")]
    return [("exp_avg", "momentum"), ("exp_avg_sq", "velocity")]
