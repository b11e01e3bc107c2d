"""Another activation: gelu exact or approximate, another slope, one that is missing or there twice."""

from __future__ import annotations

from collections.abc import Iterator

from compare.pair.causes.trial import Scene, Trial, instead, module, moved, number
from compare.pair.records import Call

# kind -> the facts that are its options
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "relu": ("slope", "maximum", "threshold"), "relu6": (), "leaky_relu": ("slope",), "gelu": (), "gelu_tanh": (),
    "silu": (), "hard_sigmoid": (), "hard_silu": (), "hard_tanh": (), "elu": ("alpha",), "celu": ("alpha",),
    "selu": (), "softplus": (), "softsign": (), "sigmoid": (), "log_sigmoid": (), "tanh": (), "mish": (),
    "exponential": (), "softmax": ("axis",), "log_softmax": ("axis",), "tanh_shrink": (), "soft_shrink": ("threshold",),
    "hard_shrink": ("threshold",),
}  # fmt: skip
CODE = {
    "relu": "nn.ReLU()", "relu6": "nn.ReLU6()", "leaky_relu": "nn.LeakyReLU({slope})", "gelu": "nn.GELU()",
    "gelu_tanh": "nn.GELU('tanh')", "silu": "nn.SiLU()", "hard_sigmoid": "nn.Hardsigmoid()", "tanh": "nn.Tanh()",
    "hard_silu": "nn.Hardswish()", "hard_tanh": "nn.Hardtanh()", "elu": "nn.ELU({alpha})", "celu": "nn.CELU({alpha})",
    "selu": "nn.SELU()", "softplus": "nn.Softplus()", "softsign": "nn.Softsign()", "sigmoid": "nn.Sigmoid()",
    "log_sigmoid": "nn.LogSigmoid()", "mish": "nn.Mish()", "softmax": "nn.Softmax({axis})", "prelu": "nn.PReLU()",
    "log_softmax": "nn.LogSoftmax({axis})", "linear": "nn.Identity()",
}  # fmt: skip
LIKE = (*FUNCTIONS, "clamp", "threshold", "prelu")


def options(call: Call) -> dict:
    """The options of one of Keras's activations, with axes as PyTorch has them."""
    found = {key: call.facts[key] for key in FUNCTIONS.get(call.kind, ()) if call.facts.get(key) is not None}
    if isinstance(found.get("axis"), int):
        rank = len(call.facts["shape"])
        found["axis"] = moved([found["axis"]], rank)[0] if rank >= 4 else found["axis"]
    elif "axis" in found:
        found.pop("axis")
    return found


def written(kind: str, given: dict) -> str:
    """A Keras activation as a PyTorch module."""
    if kind == "relu" and (given.get("maximum") or given.get("slope")):
        return (
            "nn.ReLU6()" if given.get("maximum") == 6 else f"nn.LeakyReLU({number(given.get('slope', 0.0))})"
        )
    numbers = {key: number(given.get(key, 1.0)) for key in ("slope", "alpha")} | {
        "axis": given.get("axis", -1)
    }
    return CODE.get(kind, f"keras's {kind}").format(**numbers)


def other(scene: Scene) -> Iterator[Trial]:
    """Put Keras's activation in the place of PyTorch's."""
    kind = scene.call.kind
    if kind not in FUNCTIONS:
        return
    given = options(scene.call)
    for call in scene.first(6):
        if call.kind not in LIKE:
            continue
        cause = "axis" if kind == call.kind and "axis" in given else "activation"
        text = f"Keras has {kind}{_told(given)}, PyTorch {call.kind}{_told(_own(call))}"
        code = instead(call, written(kind, given))
        for exact in (True, False):
            made = {"kind": kind, "single": exact, **given}
            edit = {"call": call.index, "do": "function", "name": "activate", "options": made}
            yield Trial(cause, [edit], module(call), text, code)


def unknown(scene: Scene) -> Iterator[Trial]:
    """Find out which function a person's own activation is: each that is known is tried in its place."""
    if scene.call.kind in FUNCTIONS or not scene.call.facts.get("fused"):
        return
    near = [call for call in scene.region[:2] if call.kind in LIKE and not call.slots]
    makers = [scene.torch.maker.get(match.torch) for match in scene.sources[:1]] if not near else []
    for kind in (name for name, own in FUNCTIONS.items() if "axis" not in own):
        text, made = f"Keras's own activation computes {kind}", {"kind": kind, "single": True}
        for call in near:
            edit = {"call": call.index, "do": "function", "name": "activate", "options": made}
            code = instead(call, written(kind, {}))
            yield Trial("activation", [edit], module(call), f"{text}, PyTorch {call.kind}", code)
        for maker in makers:
            if maker is not None:
                edit = {"call": maker.index, "do": "after", "name": "activate", "options": made}
                code = f"x = {written(kind, {})}(x)  # after {module(maker)}"
                yield Trial("activation", [edit], module(maker), f"{text}, PyTorch nothing there", code)


def _own(call: Call) -> dict:
    return {
        k: v
        for k, v in call.facts.items()
        if k in ("negative_slope", "alpha", "approximate", "dim", "min_val", "max_val", "min", "max", "beta")
    }


def _told(given: dict) -> str:
    told = ", ".join(f"{key} {number(value)}" for key, value in given.items() if value not in (None, 0.0))
    return f" ({told})" if told else ""


def missing(scene: Scene) -> Iterator[Trial]:
    """Compute Keras's activation where PyTorch has none; leave one out that Keras hasn't, or that is there twice."""
    kind, given = scene.call.kind, options(scene.call)
    if kind in FUNCTIONS:
        makers = [scene.torch.maker.get(match.torch) for match in scene.sources]
        for maker in makers:
            if maker is None:
                continue
            for exact in (True, False):
                made = {"kind": kind, "single": exact, **given}
                edit = {"call": maker.index, "do": "after", "name": "activate", "options": made}
                text = f"{scene.call.owner} has {kind}, PyTorch nothing there"
                code = f"x = {written(kind, given)}(x)  # after {module(maker)}"
                yield Trial("activation", [edit], module(maker), text, code)
    yield from _moved(scene)
    for call in scene.first(6):
        if call.kind in LIKE and not call.slots:
            edit = {"call": call.index, "do": "identity"}
            text = f"PyTorch has {call.kind} there, Keras nothing"
            before = scene.keras.maker.get(scene.call.inputs[0]) if scene.call.inputs else None
            twice = before.owner if before is not None and before.kind == call.kind else ""
            code = instead(call, "nn.Identity()")
            yield Trial("activation", [edit], module(call), text, code, twice)


def _moved(scene: Scene) -> Iterator[Trial]:
    """An activation before a sum that Keras has behind it."""
    if scene.call.kind != "add":
        return
    for behind in (one for one in scene.following[:2] if one.kind in FUNCTIONS):
        for call in (c for c in scene.first(6) if c.kind == behind.kind and not c.slots):
            for total in (c for c in scene.having("add") if c.index > call.index):
                made = {"kind": behind.kind, "single": True, **options(behind)}
                edits = [
                    {"call": call.index, "do": "identity"},
                    {"call": total.index, "do": "after", "name": "activate", "options": made},
                ]
                text = f"PyTorch has {call.kind} before the sum, Keras behind it"
                yield Trial("activation", edits, module(call), text, f"x = {written(behind.kind, {})}(a + b)")
