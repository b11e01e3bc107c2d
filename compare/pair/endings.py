"""What PyTorch returns: whether it is what Keras returns, in the same order, or something is done behind it."""

from __future__ import annotations

from collections.abc import Callable

from compare.pair.causes.activations import LIKE
from compare.pair.causes.trial import Trial, instead, module
from compare.pair.matching import Front, Values
from compare.pair.records import Call, Seen

Run = Callable[..., Seen]


def departed(
    keras: Seen, run: Run, targets: list[str], values: Values, now: Front, edits: list[dict]
) -> tuple[Call, Trial] | None:
    """Find the first output of Keras's that PyTorch has, but doesn't return in its place.

    Args:
        run: PyTorch's pass with some of its calls changed.
        targets: Keras's values that the outputs are.
        values: of PyTorch's pass.
        now: the front, with every target matched.

    Returns:
        Keras's last call, and what would mend it; None where all outputs are in their places.
    """
    torch = values.run
    for n, name in enumerate(targets):
        call = keras.maker.get(name)
        if call is None or (n < len(torch.outputs) and values.equal(torch.outputs[n], keras.values[name])):
            continue
        if n >= len(torch.outputs):
            text = f"Keras returns {len(targets)} values, PyTorch {len(torch.outputs)}"
            return call, Trial("unknown", [], "", text, "return ...  # all of Keras's outputs")
        others = [m for m, own in enumerate(torch.outputs) if values.equal(own, keras.values[name])]
        if others:
            text = f"Keras's output {n} is PyTorch's output {others[0]}"
            return call, Trial("unknown", [], "", text, "return ...  # in Keras's order")
        return call, _behind(
            keras.values[name], run, values, torch.outputs[n], now.matched[name].torch, edits
        )
    return None


def _behind(wanted, run: Run, values: Values, output: str, has: str, edits: list[dict]) -> Trial:
    """What PyTorch does to a result before it returns it: the calls that are too many."""
    torch = values.run
    chain: list[Call] = []
    name = output
    while name != has and name in torch.maker and len(chain) < 8:
        chain.append(torch.maker[name])
        name = chain[-1].inputs[0]
    for call in chain:
        again = run([*edits, {"call": call.index, "do": "identity"}])
        kept = Values(again, values.bars, values.floor)
        if any(kept.equal(own, wanted) for own in again.outputs):
            break
    else:
        call = chain[0] if chain else torch.maker[output]
    cause = "activation" if call.kind in LIKE else "extra-layer"
    text = f"PyTorch returns what {call.kind} makes of Keras's output"
    return Trial(cause, [], module(call), text, instead(call, "nn.Identity()"))
