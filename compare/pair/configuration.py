"""What outputs can't show: decay, epsilon, rates of dropout, weight decay, the optimizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.pair.arrays import Map
from compare.pair.causes.trial import path
from compare.pair.partners import Partner
from compare.pair.records import Call, Held, Seen


@dataclass
class Fact:
    """A setting in which the two differ.

    Attributes:
        cause: in the verdict's words.
        text: what it is in both.
        code: the line that makes PyTorch's equal.
        order: of Keras's call that it is a setting of; below zero for what is of the whole model.
    """

    cause: str
    keras: str
    torch: str
    text: str
    code: str = ""
    order: int = -1


def close(a: Any, b: Any) -> bool:
    """Whether two settings are the same; one of them may have been kept in float32."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return bool(np.isclose(a, b, rtol=1e-6, atol=1e-15))
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return all(close(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def norms(pairs: list[Partner]) -> list[Fact]:
    """Decay and epsilon of normalisations that both models call."""
    found = []
    for pair in pairs:
        ours, theirs, order = pair.keras.facts, pair.torch.facts, pair.keras.calls[0].index
        if (
            "epsilon" in ours
            and isinstance(theirs.get("eps"), float)
            and not close(ours["epsilon"], theirs["eps"])
        ):
            text = f"epsilon is {ours['epsilon']:g} in Keras and {theirs['eps']:g} in PyTorch"
            code = f"{path(pair.torch.place)}.eps = {ours['epsilon']:g}"
            found.append(Fact("epsilon", pair.keras.owner, pair.torch.place, text, code, order))
        if (
            pair.keras.kind != "batch_norm"
            or pair.torch.kind != "batch_norm"
            or not ours.get("trainable", True)
        ):
            continue
        if theirs.get("cumulative"):
            text = f"Keras keeps {ours['decay']:g} of the moving statistics, PyTorch averages all batches"
        else:
            kept = 1 - theirs.get("momentum", 0.1)
            if np.isclose(ours["decay"], kept, rtol=1e-6, atol=1e-9):
                continue
            text = f"Keras keeps {ours['decay']:g} of the moving statistics, PyTorch {kept:g}"
        code = f"{path(pair.torch.place)}.momentum = {1 - ours['decay']:g}"
        found.append(Fact("decay", pair.keras.owner, pair.torch.place, text, code, order))
    return sorted(found, key=lambda fact: fact.order)


def sharing(found: Map, torch: dict[str, Held]) -> list[Fact]:
    """Arrays that are one in one model and several in the other."""
    by_keras: dict[str, list] = {}
    by_torch: dict[str, list] = {}
    for binding in found.bindings:
        if binding.layout.whole:
            by_keras.setdefault(binding.keras, []).append(binding)
        if binding.part is None:
            by_torch.setdefault(torch[binding.torch].alias or binding.torch, []).append(binding)
    facts = []
    for bindings in by_keras.values():
        names = dict.fromkeys(torch[b.torch].alias or b.torch for b in bindings)
        if len(names) > 1:
            text = f"{bindings[0].keras} is one array in Keras and {' and '.join(names)} in PyTorch"
            first, second = list(names)[:2]
            code = f"{path(second)} = {path(first)}"
            facts.append(Fact("sharing", bindings[0].keras_place, bindings[1].torch_place, text, code))
    for name, bindings in by_torch.items():
        ours = dict.fromkeys(b.keras for b in bindings)
        if len(ours) > 1:
            text = f"{' and '.join(ours)} are two arrays in Keras and one, {name}, in PyTorch"
            code = f"{path(bindings[1].torch_place)} = copy.deepcopy({path(bindings[0].torch_place)})"
            facts.append(Fact("sharing", bindings[1].keras_place, bindings[1].torch_place, text, code))
    return facts[:1]


def rates(keras: Seen, torch: Seen) -> list[Fact]:
    """Rates of the dropout that is really called, in the order of calls."""
    ours = [(call, rate) for call in keras.calls if (rate := _rate(call)) > 0]
    theirs = [(call, rate) for call in torch.calls if (rate := _rate(call)) > 0]
    if [round(rate, 9) for _, rate in ours] == [round(rate, 9) for _, rate in theirs]:
        return _dropped([(a, b) for (a, _), (b, _) in zip(ours, theirs, strict=True)])
    for n, (call, rate) in enumerate(ours):
        other, own = theirs[n] if n < len(theirs) else (None, 0.0)
        if not close(rate, own):
            place = other.place if other is not None else ""
            text = f"the rate is {rate:g} in Keras and {own:g} in PyTorch"
            code = f"{path(place)}.p = {rate:g}" if place else f"x = F.dropout(x, {rate:g}, self.training)"
            return [Fact("dropout-rate", call.owner, place, text, code, call.index)]
    call, rate = theirs[len(ours)]
    before = _before(keras, torch, call)
    owner, index = (before.owner, before.index) if before is not None else ("", -1)
    text = f"PyTorch drops {rate:g} at {call.place}, Keras nothing"
    return [Fact("dropout-rate", owner, call.place, text, f"{path(call.place)}.p = 0.0", index)]


def always(torch: Seen) -> list[Fact]:
    """Dropout that is on in evaluation, too: a function that nobody told the mode.

    Args:
        torch: PyTorch's pass in inference mode.
    """
    for call in torch.calls:
        told = call.facts.get("training", call.facts.get("function", "").startswith("dropout"))
        if call.kind == "dropout" and call.facts.get("module") is None and told and _rate(call) > 0:
            place = call.place or "forward"
            text = f"PyTorch drops {_rate(call):g} at {place} in evaluation, too"
            code = f"x = F.dropout(x, {_rate(call):g}, self.training)"
            return [Fact("dropout-rate", "", call.place, text, code)]
    return []


def _dropped(pairs: list[tuple[Call, Call]]) -> list[Fact]:
    """Dropout of equal rates that drops something else: single values, channels, samples."""
    for call, other in pairs:
        own, theirs = call.facts.get("drops", "values"), other.facts.get("drops", "values")
        if own != theirs:
            text = f"Keras drops {own} there, PyTorch {theirs}"
            names = {
                "channels": f"nn.Dropout{max(len(call.facts['shape']) - 2, 1)}d",
                "alpha": "nn.AlphaDropout",
            }
            new = f"{names.get(own, 'nn.Dropout')}({_rate(call):g})"
            code = f"{path(other.place)} = {new}" if own in (*names, "values") else ""
            return [Fact("dropout-rate", call.owner, other.place, text, code, call.index)]
    return []


def _rate(call: Call) -> float:
    if call.kind == "attention":
        return float(call.facts.get("dropout_p") or 0.0)
    if call.kind in ("lstm", "gru", "rnn"):
        stacked = (call.facts.get("num_layers") or 1) > 1
        return float(
            call.facts.get("rate", 0.0) or (call.facts.get("dropout", 0.0) if stacked else 0.0) or 0.0
        )
    if call.kind in ("dropout", "noise"):
        return float(call.facts.get("rate", call.facts.get("p", 0.5)) or 0.0)
    return 0.0


def _before(keras: Seen, torch: Seen, call: Call) -> Call | None:
    """Keras's call at about the place of one of PyTorch's."""
    share = call.index / max(len(torch.calls), 1)
    return keras.calls[min(int(share * len(keras.calls)), len(keras.calls) - 1)] if keras.calls else None


def decays(found: Map, keras: dict[str, float], torch: dict[str, float] | None) -> list[Fact]:
    """Weight decay, array by array.

    Args:
        keras, torch: array -> factor; None where PyTorch's optimizer isn't known.
    """
    for binding in found.bindings:
        ours = keras.get(binding.keras, 0.0)
        theirs = (torch or {}).get(binding.torch, 0.0)
        if not close(ours, theirs):
            text = f"{binding.keras} is decayed with {ours:g} in Keras, {binding.torch} with {theirs:g} in PyTorch"
            code = f"{{'params': [{path(binding.torch)}], 'weight_decay': {ours:g}}}  # a group of the optimizer's"
            return [Fact("weight-decay", binding.keras_place, binding.torch_place, text, code)]
    return []


def penalties(others: dict[str, str], found: Map) -> list[Fact]:
    """Parts of Keras's loss that no optimizer of PyTorch's can take over.

    Args:
        others: array or layer -> what is added to the loss, in words (`keras_impl.stepping.added`).
    """
    facts = []
    for name, text in others.items():
        binding = next((b for b in found.bindings if name in (b.keras, b.keras_place)), None)
        place, other = (binding.keras_place, binding.torch_place) if binding else (name, "")
        code = f"loss = loss + ...  # {text}"
        facts.append(Fact("weight-decay", place, other, f"Keras's loss has {text}, PyTorch's doesn't", code))
    return facts


def given(found: Map, torch: dict[str, Held], known: dict[str, float]) -> list[Fact]:
    """Parameters that train but aren't given to a person's optimizer.

    Args:
        known: array -> weight decay, of those that are (`torch_impl.stepping.decayed`).
    """
    for binding in found.bindings:
        name = torch[binding.torch].alias or binding.torch
        if torch[binding.torch].trains and name not in known and binding.torch not in known:
            text = f"{binding.torch} isn't among the parameters that PyTorch's optimizer was given"
            code = "optimizer.add_param_group({'params': [" + path(binding.torch) + "]})"
            return [Fact("optimizer", binding.keras_place, binding.torch_place, text, code)]
    return []


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
    text = "; ".join(f"{key.replace('_', ' ')} is {a} in Keras and {b} in PyTorch" for key, a, b in apart)
    names = {"learning_rate": "lr", "decays": "betas", "epsilon": "eps"}
    given = ", ".join(f"{names.get(key, key)}={a}" for key, a, _ in apart if key != "kind")
    code = f"torch.optim.{_named(keras['kind'])}(model.parameters(){', ' + given if given else ''})"
    return [Fact("optimizer", "", "", text, code)]


def _family(key: str, value: Any) -> Any:
    if key in ("nesterov", "amsgrad"):
        return bool(value)
    return value


def _named(kind: str) -> str:
    return {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}.get(kind, kind)
