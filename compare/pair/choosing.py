"""Where structure leaves a choice between arrays, the values decide: the same input through both, as far as it goes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

from compare.pair.graph import Op
from compare.pair.partners import Partner

MOST = 4  # operations that are exchanged with one another: 24 orders


def settle(pairs: list[Partner], reached: Callable[[], int]) -> None:
    """Set what is open in pairs so that the two models go together as far as they can.

    Args:
        reached: how far they go with the pairs as they are.
    """
    groups = _optional(pairs)
    rivals = _rivals(pairs)
    if not groups and not rivals:
        return
    best = reached()
    for members in groups:
        best = _option(members, reached, best)
    for members in rivals:
        best = _order(members, reached, best)


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
    return [group for group in groups if 1 < len(group) <= MOST]


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
