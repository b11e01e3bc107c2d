"""A normalisation's settings: epsilon, axis, which variance, what is taken for what."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from compare.pair.causes.trial import Scene, Trial, module, moved, number, path
from compare.pair.matching import Values
from compare.pair.records import Call

USUAL = (1e-3, 1e-5, 1e-6, 1e-8, 1e-12, 1e-7, 1e-4, 1.001e-5, 1e-2)  # epsilons that people take
CLOSE = 1e-9
DEEP = 3  # calls behind one that reads a normalisation's arrays
NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")


def settings(scene: Scene) -> Iterator[Trial]:
    """Give PyTorch's normalisation what Keras's has."""
    call = scene.call
    if call.kind not in NORMS:
        if call.kind == "custom" and scene.pair is not None and scene.pair.torch.kind in NORMS:
            yield from _usual(scene)
        return
    own = [scene.partner] if scene.partner is not None and scene.partner.kind in NORMS else []
    for other in [*own, *(c for c in scene.having(*NORMS) if c not in own)][:2]:
        yield from _epsilon(call, other)
        yield from _swapped(other)
        yield from _variance(scene, other)
        yield from _axes(call, other, scene)
        yield from _groups(call, other)
    yield from _by_hand(scene)
    if call.kind == "batch_norm" and not own:
        yield from _written_out(scene)


def _usual(scene: Scene) -> Iterator[Trial]:
    """A normalisation that a person wrote in Keras, whose epsilon only its result shows: those that people take."""
    for other in [scene.partner] if scene.partner is not None else []:
        theirs = other.facts.get("eps")
        for epsilon in USUAL if isinstance(theirs, float) else ():
            text = (
                f"epsilon is {number(epsilon)} in Keras, by what it computes, and {number(theirs)} in PyTorch"
            )
            code = f"{path(other.place)}.eps = {epsilon:g}"
            yield Trial("epsilon", [_set(other, eps=epsilon)], module(other), text, code)
    sums = _small_sums(scene) if scene.partner is None or "eps" not in scene.partner.facts else []
    for other in sums:
        for epsilon in USUAL:
            theirs = number(other.facts["other"])
            text = f"epsilon is {number(epsilon)} in Keras, by what it computes, and {theirs} in PyTorch"
            yield Trial("epsilon", [_set(other, other=epsilon)], module(other), text, f"eps = {epsilon:g}")


def _small_sums(scene: Scene) -> list[Call]:
    """Where PyTorch adds a small number, near what reads the layer's arrays: they needn't depend on its input."""
    near = list(scene.region)
    waiting = list(scene.pair.torch.calls) if scene.pair is not None else []
    for _ in range(DEEP):
        near += [call for call in waiting if all(call is not one for one in near)]
        waiting = [
            user for call in waiting for name in call.outputs for user in scene.torch.users.get(name, [])
        ]
    found = {call.index: call for call in [*near, *waiting] if call.kind == "add"}
    numbers = [(call, call.facts.get("other")) for call in found.values()]
    return [call for call, value in numbers if isinstance(value, float) and abs(value) < 0.1]


def _set(call: Call, **arguments: object) -> dict:
    return {"call": call.index, "do": "set", "arguments": arguments}


def _epsilon(call: Call, other: Call) -> Iterator[Trial]:
    epsilon, theirs = call.facts.get("epsilon"), other.facts.get("eps")
    if epsilon is None:
        return
    text = f"epsilon is {number(epsilon)} in Keras and {number(theirs)} in PyTorch"
    yield Trial(
        "epsilon", [_set(other, eps=epsilon)], module(other), text, f"{path(other.place)}.eps = {epsilon:g}"
    )


def _swapped(other: Call) -> Iterator[Trial]:
    pairs = [("mean and variance", "running_mean", "running_var", "swapped")] * (other.kind == "batch_norm")
    pairs += [("gamma and beta", "weight", "bias", "swapped_affine")] * (other.kind in NORMS[:2])
    for what, one, two, key in pairs:
        code = f"m = {path(other.place)}; m.{one}, m.{two} = m.{two}, m.{one}"
        if not other.facts.get("module"):
            code = f"# {one} and {two} in their own places in {module(other)}"
        text = f"{what} are exchanged"
        yield Trial("swapped-statistics", [_set(other, **{key: True})], module(other), text, code)


def _variance(scene: Scene, other: Call) -> Iterator[Trial]:
    call = scene.call
    if other.kind == "layer_norm":
        yield Trial("variance-rule", [_set(other, variance="biased")], module(other), "another variance", "")
    if (call.kind, other.kind) == ("rms_norm", "layer_norm"):
        text = "Keras divides by the root mean square alone, PyTorch takes the mean off first"
        code = f"{path(other.place)} = nn.RMSNorm(...)"
        yield Trial("variance-rule", [_set(other, centered=False)], module(other), text, code)
    if (call.kind, other.kind) == ("layer_norm", "rms_norm"):
        text = "Keras takes the mean off first, PyTorch divides by the root mean square alone"
        edit = {"call": other.index, "do": "function", "name": "layer_norm"}
        yield Trial("variance-rule", [edit], module(other), text, f"{path(other.place)} = nn.LayerNorm(...)")
    if other.kind == "batch_norm":
        yield from _statistics(scene, other)


def _statistics(scene: Scene, other: Call) -> Iterator[Trial]:
    """Which statistics are normalised with: the batch's own or the moving ones, which PyTorch may not keep at all."""
    text = "one normalises with the batch's own statistics, the other with the moving ones"
    turned = not other.facts.get("training")
    code = f"{path(other.place)}.{'train' if turned else 'eval'}()"
    yield Trial("variance-rule", [_set(other, training=turned)], module(other), text, code)
    slots = scene.pair.keras.slots if scene.pair is not None else {}
    kept = {slot.role for slot in other.slots}
    if "mean" in slots and "variance" in slots and not kept & {"mean", "variance"}:
        held = {
            f"running_{to}": scene.arrays[slots[of].name]
            for of, to in (("mean", "mean"), ("variance", "var"))
        }
        text = "PyTorch's keeps no moving statistics: it normalises with the batch's own in evaluation, too"
        code = f"{path(other.place)} = nn.BatchNorm2d(..., track_running_stats=True)"
        yield Trial("variance-rule", [_set(other, training=False, **held)], module(other), text, code)


def _axes(call: Call, other: Call, scene: Scene) -> Iterator[Trial]:
    rank = len(call.facts.get("shape", []))
    axes = call.facts.get("axis")
    if call.kind not in ("layer_norm", "batch_norm") or not axes or rank < 2:
        return
    if other.kind in ("layer_norm", "group_norm", "instance_norm") and call.kind == "layer_norm":
        for found in ([axis % rank for axis in axes], moved([axis % rank for axis in axes], rank)):
            text = f"Keras normalises over axis {', '.join(map(str, axes))}"
            edit = {"call": other.index, "do": "function", "name": "norm_over", "options": {"axes": found}}
            yield Trial(
                "axis", [edit], module(other), text, f"# normalise over axis {found} of PyTorch's tensor"
            )
    if other.kind == "batch_norm" and call.kind == "batch_norm":
        theirs = len(other.facts["shape"])
        for axis in range(1, theirs):
            edit = {
                "call": other.index,
                "do": "function",
                "name": "batch_norm_axis",
                "options": {"axis": axis},
            }
            if axis != 1:
                text = f"Keras normalises axis {axes[0]}, PyTorch axis 1"
                code = f"x = {path(other.place)}(x.movedim({axis}, 1)).movedim(1, {axis})"
                yield Trial("axis", [edit], module(other), text, code)


def _groups(call: Call, other: Call) -> Iterator[Trial]:
    groups = call.facts.get("groups")
    if other.kind not in ("group_norm", "instance_norm", "layer_norm") or not isinstance(groups, int):
        return
    groups = call.facts["shape"][-1] if groups == -1 else groups
    if groups == other.facts.get("num_groups"):
        return
    own = other.facts.get("num_groups", f"a {other.kind.replace('_', ' ')}")
    text = f"{groups} groups in Keras, {own} in PyTorch"
    code = f"{path(other.place)}.num_groups = {groups}"
    if other.kind != "group_norm":
        code = f"{path(other.place)} = nn.GroupNorm({groups}, {call.facts['shape'][-1]})"
    edit = {"call": other.index, "do": "function", "name": "grouped", "options": {"groups": groups}}
    yield Trial("axis", [edit], module(other), text, code)


def _by_hand(scene: Scene) -> Iterator[Trial]:
    """A normalisation written out: its variance and its epsilon."""
    spread = list(scene.having("var", "std"))
    epsilon = scene.call.facts.get("epsilon")
    sums = _small_sums(scene)
    for other in spread:
        biased = {"call": other.index, "do": "function", "name": "spread", "options": {"unbiased": False}}
        text = "PyTorch's var and std divide by n - 1 unless told otherwise, Keras's by n"
        yield Trial("variance-rule", [biased], module(other), text, "x.var(..., unbiased=False)")
    for other in sums:
        if epsilon is None or other.facts["other"] == epsilon:
            continue
        text = f"epsilon is {number(epsilon)} in Keras and {number(other.facts['other'])} in PyTorch"
        yield Trial("epsilon", [_set(other, other=epsilon)], module(other), text, f"eps = {epsilon:g}")


def _written_out(scene: Scene) -> Iterator[Trial]:
    """A batch normalisation written out, whose statistics and epsilon are no calls on its input: computed otherwise."""
    call, pair = scene.call, scene.pair
    given = scene.keras.values.get(call.inputs[0])
    wanted = scene.keras.values.get(call.outputs[0])
    roles = ("gamma", "beta", "mean", "variance")
    if pair is None or given is None or wanted is None or not set(roles) <= set(pair.keras.slots):
        return
    axis, own = call.facts["axis"][0], call.facts["epsilon"]
    shape = [size if n == axis % given.ndim else 1 for n, size in enumerate(given.shape)]
    gamma, beta, mean, variance = (scene.arrays[pair.keras.slots[r].name].reshape(shape) for r in roles)
    has = Values(scene.torch, {}, CLOSE)
    ways = [("epsilon", f"{number(epsilon)} in PyTorch", np.sqrt(variance + epsilon)) for epsilon in USUAL]
    ways.append(
        ("epsilon", "added to the root in PyTorch, to the variance in Keras", np.sqrt(variance) + own)
    )
    for cause, told, root in ways:
        match = has.find((given - mean) / root * gamma + beta)
        maker = scene.torch.maker.get(match.torch) if match is not None else None
        if match is None or maker is None or np.array_equal(root, np.sqrt(variance + own)):
            continue
        array = wanted.transpose(np.argsort(match.axes))
        edit = {"call": maker.index, "do": "after", "name": "value", "options": {"array": array}}
        text = f"epsilon is {number(own)} in Keras, {told}"
        yield Trial(
            cause, [edit], module(maker), text, f"(var + {own:g}).sqrt()  # in {maker.place or 'forward'}"
        )


def count(call: Call) -> int:
    """Values a channel's batch statistics are over."""
    shape = call.facts["shape"]
    return prod(shape) // shape[1] if len(shape) > 1 else 1
