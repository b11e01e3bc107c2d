"""Several runs beside each other: before and after, or two backbones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compare.cells.grid import distinct_policies
from compare.cells.store import Change, differences
from compare.frameworks import FRAMEWORKS, called
from compare.gap.records import METRICS, Metric
from compare.report.load import Run, load_run
from compare.report.rows import Entry, Table
from compare.spec import NUMERICS, POLICIES
from compare.verdict.finding import Finding
from compare.verdict.seeds import Estimate
from compare.words import difference, join

# changes that a sentence lists
MOST = 4


@dataclass(frozen=True)
class Line:
    """One policy in one framework and numerics; the runs' entries in their order, None where a run has none."""

    policy: str
    framework: str
    numerics: str
    entries: tuple[Entry | None, ...]

    def gap(self, run: int, metric: Metric = "loss") -> Estimate | None:
        """The last epoch's gap in one of the runs."""
        entry = self.entries[run]
        return entry.gap(metric) if entry else None

    def finding(self, run: int) -> Finding | None:
        """Whether there is a gap in one of the runs."""
        entry = self.entries[run]
        return entry.judgement.finding if entry and entry.judgement else None

    def gap_in(self, run: int) -> Metric | None:
        """The metric that one of the runs has a gap in; None where it has none, or a hidden one."""
        entry = self.entries[run]
        judgement = entry.judgement if entry else None
        return judgement.metric if judgement and judgement.finding == "gap" else None


@dataclass(frozen=True)
class Comparison:
    """The runs, what to call them, and their figures line by line."""

    runs: list[Run]
    names: list[str]
    lines: list[Line]

    @property
    def labels(self) -> dict[str, str]:
        """What people call the frameworks, by name."""
        return called(line.framework for line in self.lines)


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Read runs and put their cells beside each other.

    A network without BN has one training for policies that differ in BN alone: it stands beside each of them.

    Raises:
        InputError: one of the runs can't be read at all.
    """
    runs = [load_run(Path(folder)) for folder in folders]
    policies = [name for name in POLICIES if any(name in table.rows for run in runs for table in run.tables)]
    lines = []
    for numerics in NUMERICS:
        own = [next((table for table in run.tables if table.numerics == numerics), None) for run in runs]
        for policy in policies:
            for framework in FRAMEWORKS:
                entries = tuple(_entry(table, policy, framework) for table in own)
                if any(entries):
                    lines.append(Line(policy, framework, numerics, entries))
    return Comparison(runs, _names(runs), lines)


def _entry(table: Table | None, policy: str, framework: str) -> Entry | None:
    if table is None:
        return None
    (trained,) = distinct_policies(table.backbone, [policy])
    return table.rows.get(trained, {}).get(framework)


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, or their paths where names are the same, or with a number where paths are, too."""
    for names in ([run.folder.resolve().name for run in runs], [str(run.folder) for run in runs]):
        if len(set(names)) == len(names):
            return names
    return [f"{run.folder} ({place})" for place, run in enumerate(runs, 1)]


def answer(comparison: Comparison) -> list[str]:
    """Say which gaps the runs differ in, which they share, and in what settings they differ."""
    last = len(comparison.runs) - 1
    both = [line for line in comparison.lines if line.finding(0) and line.finding(last)]
    changed = [line for line in both if (line.finding(0) == "none") != (line.finding(last) == "none")]
    closed = [line for line in changed if line.finding(last) == "none"]
    opened = [line for line in changed if line.finding(last) != "none"]
    shared = [line for line in both if line.finding(0) != "none" and line.finding(last) != "none"]
    a, b = comparison.names[0], comparison.names[last]
    sentences = []
    for lines, text in (
        (closed, f"{a} has a gap that {b} hasn't"),
        (opened, f"{b} has a gap that {a} hasn't"),
    ):
        if lines:
            sentences.append(f"{text} under {_listed(comparison, lines, last)}.")
    if shared:
        sentences.append(f"Both have one under {_listed(comparison, shared, last)}.")
    if not sentences:
        none = f"Neither {a} nor {b} has a gap under a policy that finished in both."
        sentences = [none if both else f"No policy finished in both {a} and {b}."]
    apart = [str(change) for change in changes(comparison) if change.is_setting]
    what = "; ".join(apart[:MOST]) + (f"; and {len(apart) - MOST} more, below" if len(apart) > MOST else "")
    sentences.append(f"Their settings differ in {what}." if apart else "They have the same settings.")
    return sentences


def warnings(comparison: Comparison) -> list[str]:
    """What couldn't be read of the runs."""
    pairs = zip(comparison.names, comparison.runs, strict=True)
    return [f"{name}: {line}" for name, run in pairs for line in run.warnings]


def changes(comparison: Comparison) -> list[Change]:
    """What the last run's configuration has changed against the first's."""
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
                    "finding": line.finding(place),
                    "gap": {m: gap.mean if (gap := line.gap(place, m)) else None for m in METRICS},
                    "val": {m: val(line.entries[place], m) for m in METRICS},
                }
                for place, run in enumerate(comparison.runs)
            ],
        }
        for line in comparison.lines
    ]


def val(entry: Entry | None, metric: Metric) -> float | None:
    """The validation figure of the last epoch; None where there is none."""
    return entry.ending("val", metric) if entry and entry.finished else None


def policy_of(comparison: Comparison, line: Line) -> str:
    """Name the policy, and the numerics where there are several."""
    several = len({own.numerics for own in comparison.lines}) > 1
    return f"{line.policy}, {line.numerics}" if several else line.policy


def _listed(comparison: Comparison, lines: list[Line], last: int) -> str:
    labels = comparison.labels
    return join(f"{line.policy} in {labels[line.framework]} ({_gaps(line, last)})" for line in lines)


def _gaps(line: Line, last: int) -> str:
    """The gaps of the first run and the last, in the metric that there is a gap in, averaged over the epochs."""
    found = [entry.judgement for run in (0, last) if (entry := line.entries[run]) and entry.judgement]
    judged = next((judgement for judgement in found if judgement.finding != "none"), found[0])
    metric = judged.metric
    gaps = [own.figures.gap(metric) if judged.late else own.figures.mean_gap(metric) for own in found]
    when = " in the last epoch" if judged.late else ""
    return f"{metric} {', '.join(difference(gap, metric) for gap in gaps)}{when}"
