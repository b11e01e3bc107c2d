"""`compare policies`: the BN policies as tables for the terminal, or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Option

from compare.pages.saying import say
from compare.spec import NAMES, POLICIES, TRAINS

if TYPE_CHECKING:
    from rich.table import Table


def policies(
    as_json: Annotated[bool, Option("--json", help="As JSON, for a program to read.")] = False,
) -> None:
    """List the BN policies: what each trains and normalises with, and what a user writes to get it.

    \b
    Examples:
      compare policies
      compare policies --json
    """
    if as_json:
        say(json.dumps([asdict(policy) for policy in POLICIES.values()], indent=1))
        return
    from compare.pages.console import Output, fitting

    console = Output()
    console.print(*(fitting(table, console) for table in (deeds(), spellings())))


def deeds() -> Table:
    """What each policy does: a row a policy."""
    from rich.table import Table

    note = "* re-estimated on the run's own images right before"
    table = Table(
        title="What each BN policy does", caption=note, title_justify="left", caption_justify="left"
    )
    table.add_column("policy", no_wrap=True)
    for name in ("trains", "fit normalises with", "moving statistics in fit", "evaluate normalises with"):
        table.add_column(name)
    for policy in POLICIES.values():
        table.add_row(
            policy.name,
            TRAINS[policy.trains] + (", on features extracted once" if policy.features else ""),
            policy.fit_statistics + ("*" if policy.reestimate == "before-fit" else ""),
            "updated" if policy.updates else "kept",
            policy.evaluate_statistics + ("*" if policy.reestimate == "before-evaluate" else ""),
        )
    return table


def spellings() -> Table:
    """What a user writes in each framework to get a policy: three rows a policy."""
    from rich.table import Table

    table = Table(title="How each is written, and who gets it", title_justify="left", show_header=False)
    table.add_column("policy", no_wrap=True)
    table.add_column("framework", no_wrap=True)
    table.add_column("spelling", overflow="fold")
    for policy in POLICIES.values():
        table.add_row(policy.name, NAMES["keras"], policy.keras)
        table.add_row("", NAMES["torch"], policy.torch)
        table.add_row("", "who", policy.who, end_section=True)
    return table
