"""What a table comes to, in three sentences."""

from __future__ import annotations

from collections.abc import Iterable

from compare.report.summary import Group
from compare.report.verdict import GAP, NAMES, Finding, finding, kind, signed
from compare.spec import POLICIES


def answer(group: Group) -> list[str]:
    """Answer in three sentences: which policies part, which don't, and where the frameworks differ."""
    found: dict[str, dict[str, Finding]] = {}
    for name, row in group.rows.items():
        states = {
            key: finding(POLICIES[name], group, key) for key, figures in row.items() if figures.finished
        }
        if states:
            found[name] = states
    if not found:
        return ["No cell finished, so there is nothing to compare."]
    return [_parting(group, found), _closing(group, found), _differing(group, found), *_failing(group)]


def _parting(group: Group, found: dict[str, dict[str, Finding]]) -> str:
    parts = {name: [key for key, state in row.items() if state == "gap"] for name, row in found.items()}
    listed = [f"{name} ({_gaps(group, name, own)})" for name, own in parts.items() if own]
    if listed:
        what = "evaluates worse than it fits" if len(listed) == 1 else "evaluate worse than they fit"
        text = f"{_join(listed)} {what} on the same samples (evaluate minus fit in loss, averaged over the epochs)."
    else:
        text = "No policy evaluates worse than it fits on the same samples."
    hidden = [name for name, row in found.items() if "hidden" in row.values()]
    if hidden:
        hide = "hides" if len(hidden) == 1 else "hide"
        text = f"{text[:-1]}; behind dropout's own effect {_join(hidden)} {hide} one."
    return text


def _closing(group: Group, found: dict[str, dict[str, Finding]]) -> str:
    closed = [name for name, row in found.items() if set(row.values()) == {"none"}]
    if group.backbone == "vgg16":
        return "VGG16 has no BN, so no policy can make a BN gap here."
    if not closed:
        return "None of the policies run closes the gap in every framework."
    losses = {
        (name, key): group.rows[name][key].last("val", "loss") for name in closed for key in found[name]
    }  # fmt: skip
    name, framework = min(losses, key=losses.__getitem__)
    best = (
        f"{name} in {NAMES[framework]} has the lowest validation loss of them ({losses[name, framework]:.2f})"
    )
    many = len(closed) > 1
    return f"{_join(closed)} {'show' if many else 'shows'} no gap" + (f"; {best}." if many else ".")


def _differing(group: Group, found: dict[str, dict[str, Finding]]) -> str:
    if len(group.frameworks) == 1:
        return f"Only {NAMES[group.frameworks[0]]} was run, so frameworks can't be compared."
    both = {name: row for name, row in found.items() if len(row) == len(group.frameworks)}
    apart = [name for name in both if _apart(group, name, both[name])]
    if not apart:
        return (
            "Keras and PyTorch agree on every policy." if both else "No policy finished in both frameworks."
        )
    text = "Keras and PyTorch differ in " + _join(
        f"{name} ({_gaps(group, name, list(both[name]))})" for name in apart
    )
    lags = any(kind(POLICIES[name], group.backbone) == "lagging" for name in apart)
    if group.numerics == "native" and lags:
        text += ": a step keeps 0.99 of the old moving statistics in Keras and 0.9 in PyTorch"
    return text + "."


def _apart(group: Group, policy: str, states: dict[str, Finding]) -> bool:
    """Whether one framework has a gap and the other hasn't, and not by a hair."""
    gaps = [group.rows[policy][name].mean_gap() for name in states]
    return len(set(states.values())) > 1 and not max(gaps) - min(gaps) <= GAP


def _failing(group: Group) -> list[str]:
    cells = [figures for row in group.rows.values() for figures in row.values()]
    failed, total = sum(len(f.failed) for f in cells), sum(len(f.failed) + len(f.finished) for f in cells)
    return [f"{failed} of {total} cells failed."] if failed else []


def _gaps(group: Group, policy: str, own: list[str]) -> str:
    return ", ".join(f"{NAMES[name]} {signed(group.rows[policy][name].mean_gap())}" for name in own)


def _join(words: Iterable[str]) -> str:
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
