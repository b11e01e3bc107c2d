"""Dropout, which is off while outputs are compared: its rates, what it drops and where."""

from __future__ import annotations

from compare.pair.causes.trial import path
from compare.pair.configuration import Fact
from compare.pair.matching import Values
from compare.pair.partners import Partner
from compare.pair.records import Call, Seen
from compare.parity.figures import close

NEAR = 1e-6
INPUT = -1  # stands among pairs for what the model is given
LOOSE = ("between", "attention")  # computed from some of what a layer had until then, nobody knows of which


def rates(keras: Seen, torch: Seen, evaluated: Seen, pairs: list[Partner]) -> list[Fact]:
    """Rates of the dropout that is really called, in the order of calls, and where it is called.

    Args:
        torch, evaluated: PyTorch's pass in training mode, and in inference mode, as Keras's is.
    """
    found = [_alike(keras, torch, evaluated, pairs, noise) for noise in (False, True)]
    return sorted((fact for facts in found for fact in facts), key=lambda fact: fact.order)


def _alike(keras: Seen, torch: Seen, evaluated: Seen, pairs: list[Partner], noise: bool) -> list[Fact]:
    """The rates of dropout, or the sizes of noise."""
    ours, theirs = (
        [(c, rate) for c in run.calls if (rate := _rate(c)) > 0 and (c.kind == "noise") == noise]
        for run in (keras, torch)
    )
    if [round(rate, 9) for _, rate in ours] == [round(rate, 9) for _, rate in theirs]:
        both = [(a, b) for (a, _), (b, _) in zip(ours, theirs, strict=True)]
        return _dropped(both) or _placed(keras, torch, pairs, both)
    for n, (call, rate) in enumerate(ours):
        other, own = theirs[n] if n < len(theirs) else (None, 0.0)
        if not close(rate, own):
            place = other.place if other is not None else ""
            text = f"the {'noise' if noise else 'rate'} is {rate:g} in Keras and {own:g} in PyTorch"
            code = f"{path(place)}.p = {rate:g}" if place else f"x = F.dropout(x, {rate:g}, self.training)"
            if noise:
                code = f"x = x + {rate:g} * torch.randn_like(x)  # in training, at {place or call.owner}"
            return [Fact("dropout-rate", call.owner, place, text, code, call.index)]
    call, rate = theirs[len(ours)]
    before = _before(keras, torch, evaluated, call)
    owner, index = (before.owner, before.index) if before is not None else ("", -1)
    text = f"PyTorch drops {rate:g} at {call.place or 'dropout in forward'}, Keras nothing"
    named = ("drop", "stochasticdepth")
    module = call.facts.get("module") or any(word in call.type.lower() for word in named)
    code = f"{path(call.place)}.p = 0.0" if module else f"# without dropout in {path(call.place)}'s forward"
    return [Fact("dropout-rate", owner, call.place, text, code, index)]


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


def _before(keras: Seen, torch: Seen, evaluated: Seen, call: Call) -> Call | None:
    """Keras's call that gives what one of PyTorch's takes, or one at about its place."""
    given = evaluated.values.get(call.inputs[0]) if call.inputs else None
    match = Values(keras, {}, NEAR).find(given) if given is not None else None
    if match is not None and match.torch in keras.maker:
        return keras.maker[match.torch]
    share = call.index / max(len(torch.calls), 1)
    return keras.calls[min(int(share * len(keras.calls)), len(keras.calls) - 1)] if keras.calls else None


def _placed(keras: Seen, torch: Seen, pairs: list[Partner], both: list[tuple[Call, Call]]) -> list[Fact]:
    """Dropout of equal rates behind other layers: an activation between the two changes nothing."""
    ours = {call.index: n for n, pair in enumerate(pairs) for call in pair.keras.calls}
    # an operation of Keras's may be several of PyTorch's: it is known by its first pair
    first = {id(pair.keras): n for n, pair in reversed(list(enumerate(pairs)))}
    ours = {index: first[id(pairs[n].keras)] for index, n in ours.items()}
    theirs = {call.index: first[id(pair.keras)] for pair in pairs for call in pair.torch.calls}
    for call, other in both:
        if call.kind != "dropout" or other.kind != "dropout":
            continue
        own, its = _behind(keras, call, ours), _behind(torch, other, theirs)
        if own is None or its is None or own == its:
            continue
        names = sorted("the input" if n == INPUT else pairs[n].keras.owner for n in own)
        text = f"Keras drops behind {' and '.join(names)}, PyTorch elsewhere"
        code = f"# {path(other.place)}: behind what {' and '.join(names)} is in PyTorch"
        return [Fact("dropout-rate", call.owner, other.place, text, code, call.index)]
    return []


def _behind(run: Seen, call: Call, known: dict[int, int]) -> set[int] | None:
    """The pairs whose results a call takes in, whatever lies between; None where one of them isn't known."""
    found: set[int] = set()
    waiting, done = list(call.inputs), set()
    while waiting:
        name = waiting.pop()
        if name in run.inputs:
            found.add(INPUT)
        maker = run.maker.get(name)
        if name in done or maker is None:
            continue
        done.add(name)
        if maker.kind in LOOSE:
            return None
        if not maker.slots:
            waiting += maker.inputs
        elif maker.index in known:
            found.add(known[maker.index])
        else:
            return None
    return found
