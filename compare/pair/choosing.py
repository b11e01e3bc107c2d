"""Where structure leaves a choice between arrays, the values decide: the same input through both, as far as it goes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

from compare.pair.graph import Op
from compare.pair.partners import Partner

MOST = 4  # operations that are exchanged with one another in every order: 24
MANY = 12  # that are exchanged two by two: 66 times at most


def settle(pairs: list[Partner], reached: Callable[[], int], end: int) -> None:
    """Set what is open in pairs so that the two models go together as far as they can.

    Args:
        reached: how far they go with the pairs as they are.
        end: what it returns where they go together to the end.
    """
    groups = _optional(pairs)
    rivals = _rivals(pairs)
    if not groups and not rivals:
        return
    best = reached()
    for members in groups:
        if _begin(members) <= best < end:
            best = _option(members, reached, best)
    for members in rivals:
        if _begin(members) <= best < end:
            best = (_order if len(members) <= MOST else _exchanges)(members, reached, best)


def _begin(members: list[Partner]) -> int:
    """The first call of Keras's that reads their arrays: where the models part before it, values can't decide."""
    return min(call.index for pair in members for call in pair.keras.calls)


def _optional(pairs: list[Partner]) -> list[list[Partner]]:
    """Pairs with other settings; those of one projection change together."""
    groups: dict[int, list[Partner]] = {}
    for pair in pairs:
        if pair.options:
            groups.setdefault(id(pair.torch), []).append(pair)
    return list(groups.values())


def _option(members: list[Partner], reached: Callable[[], int], best: int) -> int:
    kept = 0
    for n in range(1, len(members[0].options)):
        _set(members, n)
        now = reached()
        if now > best:
            best, kept = now, n
            members[0].why = "the values decide between orders"
    _set(members, kept)
    return best


def _set(members: list[Partner], n: int) -> None:
    for pair in members:
        for key, value in pair.options[n].items():
            setattr(pair, key, value)


def _rivals(pairs: list[Partner]) -> list[list[Partner]]:
    """Pairs whose operations structure and names can't tell apart."""
    groups: list[list[Partner]] = []
    for pair in pairs:
        if not pair.rivals:
            continue
        near = {id(op) for op in [*pair.rivals, pair.torch]}
        group = next((g for g in groups if any(id(other.torch) in near for other in g)), None)
        if group is None:
            groups.append([pair])
        else:
            group.append(pair)
    return [group for group in groups if 1 < len(group) <= MANY]


def _exchanges(members: list[Partner], reached: Callable[[], int], best: int) -> int:
    """Give each in turn the one of the others that takes the models furthest."""
    for n, pair in enumerate(members):
        for other in members[n + 1 :]:
            pair.torch, other.torch = other.torch, pair.torch
            now = reached()
            if now > best:
                best = now
                pair.why = other.why = "the values decide"
            else:
                pair.torch, other.torch = other.torch, pair.torch
    return best


def _order(members: list[Partner], reached: Callable[[], int], best: int) -> int:
    own: list[Op] = [pair.torch for pair in members]
    kept = own
    for order in list(permutations(own))[1:]:
        for pair, op in zip(members, order, strict=True):
            pair.torch = op
        now = reached()
        if now > best:
            best, kept = now, list(order)
    for pair, op in zip(members, kept, strict=True):
        pair.torch = op
        if kept is not own:
            pair.why = "the values decide"
    return best
