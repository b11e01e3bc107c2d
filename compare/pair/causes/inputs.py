"""A rescaling or an order of channels inside one of the models."""

from __future__ import annotations

from collections.abc import Iterator

from compare.pair.causes.trial import Scene, Trial, module, number

NUMBERS = ("multiply", "subtract", "divide", "add")  # with an array of constants, perhaps


def scales(scene: Scene) -> Iterator[Trial]:
    """Do to the input what Keras does, or leave out what PyTorch does to it."""
    call = scene.call
    if not any(name in scene.keras.inputs for name in call.inputs):
        return
    near = [c for c in scene.region[:6] if any(n in scene.torch.inputs for n in c.inputs)]
    plain = [c for c in near if not c.slots or c.kind in NUMBERS]
    users = [c for c in scene.region[:6] if any(n in scene.torch.inputs for n in c.inputs)]
    if call.kind == "rescale":
        text = f"Keras takes x * {_told(call.facts['scale'])} + {_told(call.facts['offset'])} of its input"
        code = f"x = x * {_told(call.facts['scale'])} + {_told(call.facts['offset'])}"
        made = {"scale": call.facts["scale"], "offset": call.facts["offset"]}
        for other in users[:2]:
            edit = {"call": other.index, "do": "before", "name": "affine", "options": made}
            yield Trial("input-scale", [edit], module(other), f"{text}, PyTorch doesn't", code)
        for other in plain[:1]:
            chain = _chain(scene, other)
            edits = [{"call": c.index, "do": "identity"} for c in chain[1:]]
            edit = {"call": other.index, "do": "function", "name": "affine", "options": made}
            yield Trial("input-scale", [edit, *edits], module(other), f"{text}, PyTorch something else", code)
    for other in users[:2]:
        if other.kind == "flip" and len(other.facts.get("shape", [])) == 3:
            edit = {"call": other.index, "do": "identity"}
            text = "PyTorch reads the steps in the other order, Keras doesn't"
            yield Trial("extra-layer", [edit], module(other), text, "# without flip()", call.owner)
            continue
        rank = len(scene.torch.values[scene.torch.inputs[0]].shape)
        if rank >= 3:
            edit = {"call": other.index, "do": "before", "name": "flip", "options": {"axis": 1}}
            steps = rank == 3 and list(scene.torch.values[scene.torch.inputs[0]].shape) == list(
                scene.keras.values[scene.keras.inputs[0]].shape
            )
            cause, what = ("missing-layer", "steps") if steps else ("input-scale", "channels")
            yield Trial(cause, [edit], module(other), f"the {what} are in the other order", "x = x.flip(1)")
    for other in plain[:1]:
        chain = _chain(scene, other)
        edits = [{"call": c.index, "do": "identity"} for c in chain]
        yield Trial("input-scale", edits, module(other), "PyTorch changes its input, Keras doesn't", "")


def _chain(scene: Scene, first) -> list:
    """Calls without arrays, one behind the other."""
    chain = [first]
    while True:
        users = scene.torch.users.get(chain[-1].outputs[0], [])
        if (
            len(users) != 1
            or (users[0].slots and users[0].kind not in NUMBERS)
            or users[0].kind not in ("multiply", "subtract", "divide", "add", "getitem", "flip", "concat")
        ):
            return chain
        chain.append(users[0])


def _told(value: object) -> str:
    return number(value) if not isinstance(value, (list, tuple)) else str(list(value))
