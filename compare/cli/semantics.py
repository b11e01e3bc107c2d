"""The command `compare semantics`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from compare.cli import places
from compare.pages.saying import say
from compare.spec import InputError

if TYPE_CHECKING:
    from compare.semantics.record import Record

NAMES = "keras, keras-jax, keras-torch or torch"


def semantics(
    framework: Annotated[
        list[str] | None, Option(metavar="NAME", help=f"{NAMES}, repeatable. [default: those installed]")
    ] = None,
    release: Annotated[
        list[str] | None,
        Option(
            metavar="NAME", help="A recorded release, as keras-2.2.4, or all; repeatable. Measures nothing."
        ),
    ] = None,
    explain: Annotated[
        str | None, Option(metavar="SPELLING", help="One spelling in words: its gap, policy and equivalent.")
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Write semantics.md and a .json a release there.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="As JSON, for a program to read.")] = False,
) -> int:
    """Measure what BatchNorm does under each spelling: what it normalises with, what moves, what a setting survives.

    \b
    Examples:
      compare semantics
      compare semantics --framework torch
      compare semantics --release keras-2.2.4 --release keras-2.3.1
      compare semantics --explain "requires_grad_(False)"
      compare semantics --json
    """
    from compare import frameworks
    from compare.semantics.record import read, releases

    asked = framework or []
    frameworks.check_all(asked)
    recorded = [read(name) for name in _releases(release or [], releases())]
    if explain is not None:
        if out is not None:
            raise InputError(
                f"--out {out}: an explanation is printed, and no file written; leave one of the two"
            )
        return _explain(explain, asked, recorded, as_json)
    names = asked or ([] if recorded else frameworks.installed())
    if not names and not recorded:
        raise InputError(
            "semantics: neither keras nor torch is installed; --release all shows the recorded ones"
        )
    places.folder(out)
    measured = _measure(names)
    shown = [*measured, *recorded]
    if out is not None:
        _write(out, shown)
    if as_json:
        say(json.dumps([record.as_dict() for record in shown], indent=1))
    else:
        _print(shown, asked, timeline=not asked)
    return 0


def _releases(asked: Sequence[str], there: Sequence[str]) -> list[str]:
    return list(there) if "all" in asked else list(dict.fromkeys(asked))


def _measure(names: Sequence[str], only: str | None = None) -> list[Record]:
    from compare.pages.console import Output
    from compare.processes.environment import default_jobs
    from compare.semantics.measuring import measure

    if not names:
        return []
    with Output(stderr=True).status(f"measuring {', '.join(names)}"):
        return measure(names, default_jobs(), only)


def _past() -> list[Record]:
    """What is recorded of the releases of the past, and of the ones that this project is tested with."""
    from compare.semantics.record import read, releases

    return [read(name) for name in releases()]


def _print(records: Sequence[Record], whole: Sequence[str], timeline: bool) -> None:
    from compare.pages.console import Output
    from compare.semantics.terminal import print_changes, print_records, print_timeline

    console, past = Output(), _past()
    print_records(records, whole, console)
    print_changes([record for record in records if record.measured], past, console)
    if timeline:
        old = [record for record in past if record.framework is None]
        print_timeline([*old, *(record for record in records if record.measured)], console)


def _explain(spelling: str, asked: Sequence[str], recorded: Sequence[Record], as_json: bool) -> int:
    """Explain one spelling as measured now, or as recorded; in one line, what else is recorded under its name."""
    from compare import frameworks
    from compare.pages.console import Output
    from compare.semantics.record import find
    from compare.semantics.terminal import explanation, print_elsewhere, print_explanation

    past = _past()
    spelling = find(spelling, recorded or past)
    having = {record.framework for record in past if record.row(spelling)}
    names = [] if recorded else [name for name in asked or frameworks.installed() if name in having]
    elsewhere = [record for record in past if record.framework is None and record not in recorded]
    whole = [*_measure(names, spelling), *recorded] or elsewhere[-1:]
    if as_json:
        found = [(record, row) for record in whole for row in [record.row(spelling)] if row]
        said = [
            {**record.as_dict(), "rows": [row.as_dict()], "said": explanation(record, row, past)}
            for record, row in found
        ]
        say(json.dumps(said, indent=1))
        return 0
    console = Output()
    print_explanation(spelling, whole, past, console)
    print_elsewhere(spelling, [record for record in elsewhere if record not in whole], console)
    return 0


def _write(out: Path, records: Sequence[Record]) -> None:
    from compare.files import write
    from compare.semantics.page import render

    out.mkdir(parents=True, exist_ok=True)
    for record in records:
        write(out / f"{record.release}.json", json.dumps(record.as_dict(), indent=1) + "\n")
    write(out / "semantics.md", render(records))
