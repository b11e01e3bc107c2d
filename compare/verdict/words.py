"""How figures and policies are put into words, in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterable

from compare.spec import NAMES, TRAINS, Policy


def does(policy: Policy, backbone: str) -> str:
    """Say in one line what a policy trains and normalises with."""
    if backbone == "vgg16":
        return f"trains {TRAINS[policy.trains]}; no BN"
    moving = "updated" if policy.updates else "kept"
    again = f", moving ones re-estimated {policy.reestimate.replace('-', ' ')}" if policy.reestimate else ""
    used = f"fit on {policy.fit_statistics} statistics (moving: {moving}), evaluate on {policy.evaluate_statistics}"
    return f"trains {TRAINS[policy.trains]}; {used}{again}"


def points(share: float) -> float:
    """A difference of accuracies in percentage points."""
    return 100 * share


def signed(value: float, digits: int = 2) -> str:
    """Write a difference with its sign; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def join(words: Iterable[str]) -> str:
    """List words: ``a, b and c``."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def names(frameworks: Iterable[str]) -> str:
    """List frameworks by their names."""
    return join(NAMES[framework] for framework in frameworks)


def heading(backbone: str, numerics: str, release: str = "") -> str:
    """Name what a table compares; an old Keras's arithmetic takes the place of the frameworks' own."""
    return f"{NAMES[backbone]}, {f'as {release}' if release else f'{numerics} numerics'}"
