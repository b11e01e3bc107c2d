"""The command `compare report`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from compare.cli import places
from compare.pages.saying import say


def report(
    runs: Annotated[
        list[Path], Argument(metavar="RUN...", help="A run directory; two or more are compared.")
    ],
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Where report.html and figures/ go. [default: the run's directory; of several, comparison]",
        ),
    ] = None,
    as_json: Annotated[
        bool, Option("--json", help="Print the figures as JSON instead, and write nothing.")
    ] = False,
) -> int:
    """Render the report of a run again, from what the run left, or put runs beside each other.

    \b
    Examples:
      compare report runs/resnet50-1
      compare report runs/before runs/after
      compare report runs/resnet50-1 runs/vgg16-1 --out backbones
      compare report runs/resnet50-1 --json
    """
    places.folder(out)
    return _one(runs[0], out, as_json) if len(runs) == 1 else _several(runs, out, as_json)


def _one(folder: Path, out: Path | None, as_json: bool) -> int:
    from compare.report.load import load_run

    run = load_run(folder)
    if as_json:
        from compare.report.as_json import record

        tables = record(run.tables)
        say(json.dumps({"run": str(folder), "warnings": run.warnings, "tables": tables}, indent=1))
        return 0
    from compare.pages.console import Output
    from compare.report.page import write_report
    from compare.report.terminal import print_results

    _warn(run.warnings)
    print_results(run.tables, Output())
    _say_where(write_report(run, out))
    return 0


def _several(folders: list[Path], out: Path | None, as_json: bool) -> int:
    from compare.report import comparison

    compared = comparison.compare_runs(folders)
    warnings = comparison.warnings(compared)
    if as_json:
        say(json.dumps({"warnings": warnings, "rows": comparison.record(compared)}, indent=1))
        return 0
    from compare.pages.console import Output
    from compare.report.comparison_page import write_comparison
    from compare.report.terminal import print_comparison

    _warn(warnings)
    print_comparison(compared, Output())
    _say_where(write_comparison(compared, out or Path("comparison")))
    return 0


def _warn(warnings: list[str]) -> None:
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)


def _say_where(page: Path) -> None:
    say(f"report: {page}")
