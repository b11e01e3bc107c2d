"""Where two passes part, and why: a change at a time on a copy of PyTorch's model, until the difference goes away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from compare.pair import endings
from compare.pair.causes import CAUSES, FIRST
from compare.pair.causes.trial import ROUNDING, Scene, Trial, module
from compare.pair.matching import Front, Values, front
from compare.pair.partners import Partner
from compare.pair.records import Call, Seen
from compare.parity.figures import Distance
from compare.parity.tolerances import TWIN_FACTOR, TWINS

Run = Callable[..., Seen]  # of edits, and perhaps of the last call that is of interest
MOST = 40  # calls that a difference is looked for in
# what a value may go through before the layer that reads it
MOVING = (
    "pad",
    "getitem",
    "reshape",
    "flatten",
    "permute",
    "transpose",
    "squeeze",
    "unsqueeze",
    "dropout",
    "identity",
)
NEAR = 1e-4  # what a rounded constant may amount to


@dataclass
class Departure:
    """The place where two passes part, and what was found to be the reason.

    Attributes:
        trial: what made the difference go away; None if nothing that was tried did.
        apart: how far apart the results are there; infinite where PyTorch has nothing like it.
        tried: the causes that were tried, in order.
    """

    call: Call
    trial: Trial | None
    torch: str
    apart: float
    bar: float
    tried: list[str] = field(default_factory=list)


@dataclass
class Found:
    """What came of looking.

    Attributes:
        edits: constants rounded as the other framework keeps them.
        departure: None where both passes give the same.
        front: the last state of affairs.
        rows: how far apart the layers are that both have.
        outputs: shapes of what is compared at the end.
        axes: of PyTorch's outputs, in Keras's order; None where they lie alike.
    """

    edits: list[dict]
    rounded: list[str]
    departure: Departure | None
    torch: Seen
    values: Values
    front: Front
    rows: list[Distance] = field(default_factory=list)
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    axes: list[list[int] | None] = field(default_factory=list)


def locate(
    keras: Seen,
    run: Run,
    targets: list[str],
    pairs: list[Partner],
    twin: Callable[[list[dict], int], Seen],
    floor: float,
    arrays: dict[str, np.ndarray],
    edits: list[dict] | None = None,
) -> Found:
    """Find where PyTorch's pass departs from Keras's.

    Args:
        run: PyTorch's pass with some of its calls changed.
        targets: Keras's values that the outputs are.
        twin: the same with inputs one rounding away, each number another way, for how far that carries. One is enough
            where nothing departs; otherwise the furthest of `TWINS` counts, since one may stay near by chance.
        floor: the bar where it carries no further.
        arrays: Keras's, by name.
        edits: changes made before.
    """
    edits = list(edits or [])
    rounded: list[str] = []
    while True:
        torch, bars = run(edits), dict[str, float]()
        for number in range(TWINS):
            away = _bars(torch, twin(edits, number))
            bars |= {name: max(bars.get(name, 0.0), bar) for name, bar in away.items()}
            values = Values(torch, bars, floor)
            now = front(keras, values, targets)
            if now.call is None:
                break
        if now.call is None:
            last = endings.departed(keras, run, targets, values, now, edits)
            departure = None if last is None else _ended(*last, values)
            return Found(edits, rounded, departure, torch, values, now)
        scene = _scene(now, keras, torch, values, pairs, arrays)
        tried: list[str] = []
        trial = _explain(scene, now, keras, run, targets, bars, floor, edits, tried)
        if trial is not None and trial.cause == ROUNDING:
            edits += _everywhere(trial, torch, edits)
            rounded.append(trial.text)
            continue
        place = trial.torch if trial else _place(scene)
        apart = scene.near.apart if scene.near else _apart(scene)
        departure = Departure(now.call, trial, place, apart, values.floor, tried)
        return Found(edits, rounded, departure, torch, values, now)


def _ended(call: Call, trial: Trial, values: Values) -> Departure:
    """The departure of an output that PyTorch has, but doesn't return."""
    return Departure(call, trial, trial.torch, float("inf"), values.floor, [trial.cause])


def _explain(
    scene: Scene,
    now: Front,
    keras: Seen,
    run: Run,
    targets: list[str],
    bars: dict,
    floor: float,
    edits: list,
    tried: list,
) -> Trial | None:
    """The first change that makes the difference at this place go away."""
    near = scene.near is not None and scene.near.apart < NEAR
    best: tuple[int, Trial] | None = None
    for name, cause in [*(FIRST if near else {}).items(), *CAUSES.items()]:
        for trial in cause(scene):
            if trial.cause not in (*tried, ROUNDING, "unknown"):
                tried.append(trial.cause)
            if not _mended(scene, keras, run([*edits, *trial.edits], _last(scene, trial)), bars, floor):
                continue
            again = run([*edits, *trial.edits])
            values = Values(again, bars, floor)
            after = front(keras, values, targets)
            if after.call is None or (name in FIRST and _reached(after) > _reached(now)):
                return trial
            if not _read_on(trial, scene, after, keras, values):
                continue
            if _reached(after) > max(_reached(now), best[0] if best else -1):
                best = (_reached(after), trial)
    return best[1] if best else None


def _read_on(trial: Trial, scene: Scene, after: Front, keras: Seen, values: Values) -> bool:
    """Whether what reads Keras's own result in Keras reads it in PyTorch too, where a change puts it there.

    It is found again then, whatever PyTorch goes on to do with it: that alone says nothing.
    """
    if not any(edit.get("name") == "value" for edit in trial.edits):
        return True
    found = [values.find(keras.values[n]) for n in scene.call.outputs if n in keras.values]
    match = next((one for one in found if one is not None), None)
    users = _readers(scene.call, keras, after, match.torch if match is not None else "")
    if after.call is None or after.call.index not in users:
        return True
    pair = next((p for p in scene.pairs if any(after.call.index == c.index for c in p.keras.calls)), None)
    following = [c.index for c in _after(keras, after.call)[:1]]
    pair = pair or next((p for p in scene.pairs if any(c.index in following for c in p.keras.calls)), None)
    if match is None or pair is None:
        return True
    readers = {call.index for call in pair.torch.calls}
    waiting = [match.torch]
    if match.torch.startswith("e"):
        return int(match.torch[1:]) in readers
    while waiting:
        for user in values.run.users.get(waiting.pop(), []):
            if user.index in readers:
                return True
            waiting += user.outputs if user.kind in MOVING and len(user.inputs) == 1 else []
    return False


def _readers(call: Call, keras: Seen, after: Front, value: str) -> set[int]:
    """Keras's calls that read a call's result, or what is the same value of PyTorch's in another shape."""
    found: set[int] = set()
    waiting = list(call.outputs)
    while waiting:
        for user in keras.users.get(waiting.pop(), []):
            if user.index not in found:
                found.add(user.index)
                waiting += [n for n in user.outputs if n in after.matched and after.matched[n].torch == value]
    return found


def _last(scene: Scene, trial: Trial) -> int | None:
    """The last call that a change can be told by; None for all, where the change itself lies further on."""
    last = scene.last
    return last if last is not None and all(edit["call"] <= last for edit in trial.edits) else None


def _mended(scene: Scene, keras: Seen, again: Seen, bars: dict, floor: float) -> bool:
    """Whether PyTorch has the result now, or that of the next layers where the layer itself leaves none to compare."""
    values = Values(again, bars, floor)
    nearest = [scene.call, *scene.following[:4]]
    return any(
        values.find(keras.values[name]) is not None
        for call in nearest
        for name in call.outputs
        if name in keras.values
    )


def _reached(now: Front) -> int:
    """How far the passes go together."""
    return min(call.index for call in now.open)


def _scene(now: Front, keras: Seen, torch: Seen, values: Values, pairs: list[Partner], arrays: dict) -> Scene:
    call = now.call
    assert call is not None
    pair = next((p for p in pairs if any(call.index == c.index for c in p.keras.calls)), None)
    following = _after(keras, call)
    if pair is None:
        pair = next(
            (p for f in following for p in pairs if any(f.index == c.index for c in p.keras.calls)), None
        )
    sources = [now.matched[name] for name in call.inputs if name in now.matched]
    region = _region(torch, sources, values)
    ordered = sorted(region, key=lambda one: one.index)
    nth = 0
    if pair is not None:
        own = [c.index for c in pair.keras.calls]
        nth = own.index(call.index) if call.index in own else 0
    partner = None
    if pair is not None:
        partner = pair.torch.calls[min(nth, len(pair.torch.calls) - 1)]
    loose = Values(torch, {}, NEAR)
    near = next(
        (m for m in (loose.find(keras.values[n]) for n in call.outputs if n in keras.values) if m), None
    )
    if near is not None and near.torch in {m.torch for m in now.matched.values()}:
        near = near if near.apart > 0 else None
    return Scene(
        call,
        keras,
        torch,
        ordered,
        partner,
        pair,
        following,
        sources,
        near,
        now.matched,
        arrays,
        region,
        pairs,
    )


def _after(run: Seen, call: Call) -> list[Call]:
    found: list[Call] = []
    waiting = list(call.outputs)
    while waiting and len(found) < 12:
        for user in run.users.get(waiting.pop(0), []):
            if all(user.index != one.index for one in found):
                found.append(user)
                waiting += user.outputs
    return sorted(found, key=lambda one: one.index)


def _region(torch: Seen, sources: list, values: Values) -> list[Call]:
    """PyTorch's calls from what both have onwards, the nearest first."""
    waiting = []
    for match in sources:
        array = torch.values[match.torch]
        waiting.append(match.torch)
        waiting += [
            name
            for name, other in torch.values.items()
            if name != match.torch
            and other.size == array.size
            and values.equal(name, array.transpose(match.axes))
        ]
    found: dict[int, Call] = {}
    waiting = sorted(set(waiting), key=lambda name: int(name[1:]))
    while waiting and len(found) < MOST:
        for user in torch.users.get(waiting.pop(0), []):
            if user.index not in found:
                found[user.index] = user
                waiting += user.outputs
    return list(found.values())


def _everywhere(trial: Trial, torch: Seen, edits: list[dict]) -> list[dict]:
    """The same change at every call that it applies to."""
    done = {edit["call"] for edit in [*edits, *trial.edits]}
    if trial.everywhere is None:
        return trial.edits
    more = [trial.everywhere(call) for call in torch.calls if call.index not in done]
    return [*trial.edits, *(edit for edit in more if edit)]


def _bars(torch: Seen, twin: Seen) -> dict[str, float]:
    from compare.pair.matching import distance

    both = [name for name in torch.values if name in twin.values]
    return {
        name: min(TWIN_FACTOR * distance(twin.values[name], torch.values[name]), 1e-6)
        for name in both
        if torch.values[name].shape == twin.values[name].shape and torch.values[name].dtype.kind == "f"
    }


def _place(scene: Scene) -> str:
    if scene.partner is not None and any(c.index == scene.partner.index for c in scene.region[:6]):
        return module(scene.partner)
    return module(scene.region[0]) if scene.region else ""


def _apart(scene: Scene) -> float:
    """How far the partner's result is from the one it should be."""
    from compare.pair.matching import arrangements, distance

    if scene.partner is None or not scene.partner.outputs:
        return float("inf")
    own = scene.torch.values.get(scene.partner.outputs[0])
    wanted = scene.keras.values.get(scene.call.outputs[0])
    if own is None or wanted is None or own.size != wanted.size:
        return float("inf")
    turned = [own.transpose(axes) for axes in arrangements(own.shape, wanted.shape)]
    return min((distance(t, wanted) for t in turned if t.shape == wanted.shape), default=float("inf"))
