"""Several runs beside each other: before and after, or two backbones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compare.cells.grid import distinct_policies
from compare.cells.store import differences
from compare.report.load import Run, load_run
from compare.spec import FRAMEWORKS, NAMES, NUMERICS, POLICIES
from compare.verdict.explained import METRICS, Metric
from compare.verdict.figures import Figures, Group, groups
from compare.verdict.finding import Finding, finding
from compare.verdict.seeds import Estimate, estimate
from compare.verdict.words import join, signed

MOST = 4  # changes that a sentence lists


@dataclass(frozen=True)
class Line:
    """One policy in one framework and numerics; the runs' figures in their order, None where a run has none.

    Attributes:
        groups: the table that each figure is in.
    """

    policy: str
    framework: str
    numerics: str
    figures: tuple[Figures | None, ...]
    groups: tuple[Group | None, ...]

    def gap(self, run: int, metric: Metric = "loss") -> Estimate | None:
        """The last epoch's gap in one of the runs."""
        figures = self.figures[run]
        return estimate(list(figures.gaps(metric).values())) if figures and figures.finished else None

    def found(self, run: int) -> Finding | None:
        """Whether there is a gap in one of the runs."""
        figures, group = self.figures[run], self.groups[run]
        if not (figures and figures.finished and group):
            return None
        policy = next(name for name, row in group.rows.items() if row.get(self.framework) is figures)
        return finding(POLICIES[policy], group, self.framework)


@dataclass(frozen=True)
class Comparison:
    """The runs, what to call them, and their figures line by line."""

    runs: list[Run]
    names: list[str]
    lines: list[Line]


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Read runs and put their cells beside each other.

    A network without BN has one training for policies that differ in BN alone: it stands beside each of them.

    Raises:
        InputError: one of the runs can't be read at all.
    """
    runs = [load_run(Path(folder)) for folder in folders]
    tables = [groups(run.config, run.cells) for run in runs]
    policies = [name for name in POLICIES if any(name in group.rows for own in tables for group in own)]
    lines = []
    for numerics in NUMERICS:
        own = [next((group for group in found if group.numerics == numerics), None) for found in tables]
        for policy in policies:
            for framework in FRAMEWORKS:
                figures = tuple(_figures(group, policy, framework) for group in own)
                if any(figures):
                    lines.append(Line(policy, framework, numerics, figures, tuple(own)))
    return Comparison(runs, _names(runs), lines)


def _figures(group: Group | None, policy: str, framework: str) -> Figures | None:
    if group is None:
        return None
    (trained,) = distinct_policies(group.backbone, [policy])
    return group.rows.get(trained, {}).get(framework)


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, or their paths where names are the same, or with a number where paths are, too."""
    for names in ([run.folder.resolve().name for run in runs], [str(run.folder) for run in runs]):
        if len(set(names)) == len(names):
            return names
    return [f"{run.folder} ({place})" for place, run in enumerate(runs, 1)]


def answer(comparison: Comparison) -> list[str]:
    """Say which gaps the runs differ in, which they share, and in what settings they differ."""
    last = len(comparison.runs) - 1
    both = [line for line in comparison.lines if line.found(0) and line.found(last)]
    changed = [line for line in both if (line.found(0) == "none") != (line.found(last) == "none")]
    closed = [line for line in changed if line.found(last) == "none"]
    opened = [line for line in changed if line.found(last) != "none"]
    shared = [line for line in both if line.found(0) != "none" and line.found(last) != "none"]
    a, b = comparison.names[0], comparison.names[last]
    sentences = []
    for lines, text in (
        (closed, f"{a} has a gap that {b} hasn't"),
        (opened, f"{b} has a gap that {a} hasn't"),
    ):
        if lines:
            sentences.append(f"{text} under {_listed(lines, last)}.")
    if shared:
        sentences.append(f"Both have one under {_listed(shared, last)}.")
    if not sentences:
        none = f"Neither {a} nor {b} has a gap under a policy that finished in both."
        sentences = [none if both else f"No policy finished in both {a} and {b}."]
    apart = [line for line in changes(comparison) if "." not in line.split(":")[0]]
    what = "; ".join(apart[:MOST]) + (f"; and {len(apart) - MOST} more, below" if len(apart) > MOST else "")
    sentences.append(f"Their settings differ in {what}." if apart else "They have the same settings.")
    return sentences


def warnings(comparison: Comparison) -> list[str]:
    """What couldn't be read of the runs."""
    pairs = zip(comparison.names, comparison.runs, strict=True)
    return [f"{name}: {line}" for name, run in pairs for line in run.warnings]


def changes(comparison: Comparison) -> list[str]:
    """What the last run's configuration has changed against the first's: ``epochs: was 8, now 4``."""
    return differences(comparison.runs[0].config, comparison.runs[-1].config)


def record(comparison: Comparison) -> list[dict]:
    """Make what ``--json`` prints: a row for each policy, framework and numerics, with the runs in their order."""
    return [
        {
            "policy": line.policy,
            "framework": line.framework,
            "numerics": line.numerics,
            "runs": [
                {
                    "run": str(run.folder),
                    "finding": line.found(place),
                    "gap": {m: gap.mean if (gap := line.gap(place, m)) else None for m in METRICS},
                    "val": {m: val(line.figures[place], m) for m in METRICS},
                }
                for place, run in enumerate(comparison.runs)
            ],
        }
        for line in comparison.lines
    ]


def val(figures: Figures | None, metric: Metric) -> float | None:
    """The validation figure of the last epoch; None where there is none."""
    return figures.last("val", metric) if figures and figures.finished else None


def policy_of(comparison: Comparison, line: Line) -> str:
    """Name the policy, and the numerics where there are several."""
    several = len({own.numerics for own in comparison.lines}) > 1
    return f"{line.policy}, {line.numerics}" if several else line.policy


def _listed(lines: list[Line], last: int) -> str:
    return join(
        f"{line.policy} in {NAMES[line.framework]} ({_gap(line, 0)}, {_gap(line, last)})" for line in lines
    )


def _gap(line: Line, run: int) -> str:
    gap = line.gap(run)
    return signed(gap.mean) if gap else "-"
