"""How both are trained: weight decay, penalties, constraints, and the settings of the optimizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compare.pair.arrays import Map
from compare.pair.causes.trial import path
from compare.pair.configuration import Fact
from compare.pair.records import Held
from compare.parity.figures import close

# as PyTorch calls them
ARGUMENTS = {
    "learning_rate": "lr", "epsilon": "eps", "accumulator": "initial_accumulator_value", "rate_decay": "lr_decay",
}  # fmt: skip
NAMES = {
    "adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop", "adagrad": "Adagrad", "nadam": "NAdam",
    "adadelta": "Adadelta", "adamax": "Adamax",
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What Keras's side says of its training.

    Attributes:
        decayed: array -> its factors of weight decay, in the gradient and apart from it.
        added: array or layer -> what else is added to the loss.
        constrained: array -> the constraint that it is put back under.
    """

    decayed: dict[str, list[float]]
    added: dict[str, str]
    constrained: dict[str, str]


def decays(
    found: Map, keras: dict[str, list[float]], torch: dict[str, list[float]] | None, plain: bool
) -> list[Fact]:
    """Weight decay, array by array.

    Args:
        keras, torch: array -> its factors in the gradient and apart from it; None for an optimizer that isn't known.
        plain: both step along the gradient alone, so that the two are one.
    """
    for binding in found.bindings:
        ours = keras.get(binding.keras, [0.0, 0.0])
        theirs = (torch or {}).get(binding.torch, [0.0, 0.0])
        if plain and torch is not None:
            ours, theirs = [sum(ours), 0.0], [sum(theirs), 0.0]
        if close(ours, theirs):
            continue
        text = f"{binding.keras} is decayed with {_factors(ours)} in Keras,"
        text += f" {binding.torch} with {_factors(theirs)} in PyTorch"
        code = f"{{'params': [{path(binding.torch)}], 'weight_decay': {sum(ours):g}}}  # a group of the optimizer's"
        if close(sum(ours), sum(theirs)):
            code = "torch.optim.AdamW(...)  # decays apart from the gradient, as Keras's optimizers do"
            code = (
                code if ours[1] else "torch.optim.Adam(...)  # decays in the gradient, as an L2 penalty does"
            )
        return [Fact("weight-decay", binding.keras_place, binding.torch_place, text, code)]
    return []


def _factors(pair: list[float]) -> str:
    """Factors of decay in words."""
    told = [f"{pair[0]:g} in the gradient"] if pair[0] else []
    told += [f"{pair[1]:g} apart from the gradient"] if pair[1] else []
    return " and ".join(told) or "0"


def penalties(others: dict[str, str], found: Map) -> list[Fact]:
    """Parts of Keras's loss that no optimizer of PyTorch's can take over.

    Args:
        others: array or layer -> what is added to the loss, in words (`keras_impl.updating.added`).
    """
    facts = []
    for name, text in others.items():
        binding = next((b for b in found.bindings if name in (b.keras, b.keras_place)), None)
        place, other = (binding.keras_place, binding.torch_place) if binding else (name, "")
        code = f"loss = loss + ...  # {text}"
        facts.append(Fact("weight-decay", place, other, f"Keras's loss has {text}, PyTorch's doesn't", code))
    return facts


def given(found: Map, torch: dict[str, Held], known: dict[str, list[float]]) -> list[Fact]:
    """Parameters that train but aren't given to a person's optimizer.

    Args:
        known: array -> weight decay, of those that are (`torch_impl.updating.decayed`).
    """
    for binding in found.bindings:
        name = torch[binding.torch].alias or binding.torch
        if torch[binding.torch].trains and name not in known and binding.torch not in known:
            text = f"{binding.torch} isn't among the parameters that PyTorch's optimizer was given"
            code = "optimizer.add_param_group({'params': [" + path(binding.torch) + "]})"
            return [Fact("optimizer", binding.keras_place, binding.torch_place, text, code)]
    return []


def limits(constrained: dict[str, str], found: Map) -> list[Fact]:
    """Constraints that Keras puts arrays back under after every step.

    Args:
        constrained: array -> the constraint's name (`keras_impl.updating.constrained`).
    """
    facts = []
    for binding in found.bindings:
        if binding.keras in constrained:
            text = f"Keras puts {binding.keras} back under {constrained[binding.keras]} after every step"
            code = f"with torch.no_grad(): {path(binding.torch)}.copy_(...)  # after optimizer.step()"
            facts.append(Fact("optimizer", binding.keras_place, binding.torch_place, text, code))
    return facts


def optimizers(keras: dict[str, Any], torch: dict[str, Any]) -> list[Fact]:
    """Settings of both optimizers; weight decay is compared array by array."""
    pairs = [
        (key, keras.get(key), torch.get(key))
        for key in dict.fromkeys([*keras, *torch])
        if key not in ("weight_decay", "more")
    ]
    apart = [(key, a, b) for key, a, b in pairs if not close(_family(key, a), _family(key, b))]
    if not apart:
        return []
    if any(key == "kind" for key, _, _ in apart):  # settings that one of them hasn't say nothing
        apart = [one for one in apart if None not in one]
    text = "; ".join(f"{key.replace('_', ' ')} is {a} in Keras and {b} in PyTorch" for key, a, b in apart)
    given = ", ".join(_argument(keras["kind"], key, a) for key, a, _ in apart if key != "kind")
    code = f"torch.optim.{NAMES.get(keras['kind'])}(model.parameters(){', ' + given if given else ''})"
    if keras["kind"] not in NAMES:
        code = f"# PyTorch has no {keras['kind']} of its own"
    return [Fact("optimizer", "", "", text, code)]


def _argument(kind: str, key: str, value: Any) -> str:
    """A setting as PyTorch's optimizer takes it."""
    if key == "decays":
        single = {"rmsprop": "alpha", "adadelta": "rho"}.get(kind)
        return f"{single}={value[0]}" if single else f"betas={tuple(value)}"
    return f"{ARGUMENTS.get(key, key)}={value}"


def _family(key: str, value: Any) -> Any:
    """A setting to be compared: what an optimizer hasn't is off, and how it decays is compared array by array."""
    if key in ("nesterov", "amsgrad", "centered"):
        return bool(value)
    if key in ("dampening", "momentum", "rate_decay"):
        return value or 0.0
    return "adam" if value == "adamw" else value
