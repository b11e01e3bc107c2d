"""What a table comes to, in three sentences."""

from __future__ import annotations

from compare.spec import DECAY, NAMES, POLICIES
from compare.verdict.explained import label
from compare.verdict.figures import Group
from compare.verdict.finding import GAP, Finding, finding, kind
from compare.verdict.seeds import between_frameworks
from compare.verdict.with_terms import verdict
from compare.verdict.words import join, names, points, signed


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
        text = f"{join(listed)} {what} on the same samples (evaluate minus fit in loss, averaged over the epochs)."
    else:
        text = "No policy evaluates worse than it fits on the same samples."
    hidden = {name: [key for key, state in row.items() if state == "hidden"] for name, row in found.items()}
    hiding = [
        name if len(own) == len(found[name]) else f"{name} in {names(own)}"
        for name, own in hidden.items()
        if own
    ]
    if hiding:
        text = f"{text[:-1]}; other effects hide a gap under {join(hiding)}."
    causes = _causes(group, found)
    if len(causes) == 1:
        text = f"{text[:-1]}; the largest term is {next(iter(causes))}."
    elif causes:
        largest = join(f"{name} in {join(own)}" for name, own in causes.items())
        text = f"{text[:-1]}; the largest term is {largest}."
    return text


def _causes(group: Group, found: dict[str, dict[str, Finding]]) -> dict[str, list[str]]:
    """The causes that the terms show -> the policies whose gap they make."""
    causes: dict[str, dict[str, None]] = {}
    for name, row in found.items():
        for framework in row:
            judged = verdict(POLICIES[name], group, framework)
            if judged and judged.cause:
                causes.setdefault(label(judged.cause), {})[name] = None
    return {cause: list(own) for cause, own in causes.items()}


def _closing(group: Group, found: dict[str, dict[str, Finding]]) -> str:
    """Say which policies close the gap, and what the best of them costs in validation accuracy."""
    if group.backbone == "vgg16":
        return "VGG16 has no BN, so no policy can make a BN gap here."
    closed = [
        name
        for name, row in found.items()
        if set(row.values()) == {"none"} and row.keys() == group.rows[name].keys()
    ]
    if not closed:
        return "None of the policies run closes the gap in every framework."
    accuracy = {
        (name, key): points(group.rows[name][key].last("val", "accuracy"))
        for name, row in found.items()
        for key in row
    }
    best = max((pair for pair in accuracy if pair[0] in closed), key=accuracy.__getitem__)
    text = f"{join(closed)} {'show' if len(closed) > 1 else 'shows'} no gap"
    text += f"; {_at(best)} validates best of them, at {accuracy[best]:.1f} %"
    parting = [(name, key) for name, key in accuracy if found[name][key] != "none"]
    if not parting:
        return f"{text}."
    other = max(parting, key=accuracy.__getitem__)
    apart = accuracy[best] - accuracy[other]
    than = (
        f"{abs(apart):.1f} points {'above' if apart > 0 else 'below'}"
        if f"{apart:+.1f}"[1:] != "0.0"
        else "level with"
    )
    return f"{text}, {than} the best with a gap ({_at(other)})."


def _at(pair: tuple[str, str]) -> str:
    return f"{pair[0]} in {NAMES[pair[1]]}"


def _differing(group: Group, found: dict[str, dict[str, Finding]]) -> str:
    if len(group.frameworks) == 1:
        return f"Only {NAMES[group.frameworks[0]]} was run, so frameworks can't be compared."
    both = {name: row for name, row in found.items() if len(row) == len(group.frameworks)}
    apart = [name for name in both if _apart(group, name, both[name])]
    if not apart:
        return (
            "Keras and PyTorch agree on every policy." if both else "No policy finished in both frameworks."
        )
    tests = {test.within: test.p for test in between_frameworks(group)}
    sure = [name for name in apart if tests.get(name, 0.0) < 0.05]
    unsure = [name for name in apart if name not in sure]
    if not sure:
        return f"Keras and PyTorch differ in {_listed(group, unsure, tests)}, but that may be chance."
    text = f"Keras and PyTorch differ in {_listed(group, sure, tests)}"
    decays = DECAY[group.numerics]
    lags = any(kind(POLICIES[name], group.backbone) == "lagging" for name in sure)
    if lags and decays["keras"] != decays["torch"]:
        text += ": a step keeps {keras} of the old moving statistics in Keras and {torch} in PyTorch".format(
            **decays
        )
    if unsure:
        text += f"; in {_listed(group, unsure, tests)} it may be chance"
    if not tests:
        text += "; one seed can't say how much of that is chance"
    return text + "."


def _listed(group: Group, policies: list[str], tests: dict[str, float]) -> str:
    """Name policies with their gaps in both frameworks, and with the p-value where there is a test."""
    p = {
        name: ", p < 0.001" if tests[name] < 0.001 else f", p = {tests[name]:.3f}"
        for name in policies
        if name in tests
    }
    return join(
        f"{name} ({_gaps(group, name, list(group.frameworks))}{p.get(name, '')})" for name in policies
    )


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
