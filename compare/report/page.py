"""The page: ``report.html``, one file that opens offline and holds its figures.

A section is a heading in ``report.html.j2`` and what `_table` and `_context` give it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from compare.files import write
from compare.frameworks import FRAMEWORKS
from compare.pages.code import coloured
from compare.pages.figures import drawing
from compare.pages.figures.bars import bars
from compare.pages.figures.curves import curves
from compare.pages.figures.drift import drift
from compare.pages.render import render
from compare.report import code, sections
from compare.report.answer import Headline, answer, cures, headlines
from compare.report.backends import backends
from compare.report.by_class import by_class
from compare.report.load import Run
from compare.report.rows import Table
from compare.spec import POLICIES, SIDES
from compare.verdict.cures import Cure
from compare.verdict.figures import GAP
from compare.words import join, plain

PAGE = "report.html"


def write_report(run: Run, out: Path | None = None) -> Path:
    """Render a run's ``report.html`` and ``figures/``; imports no framework.

    The same run gives the same bytes. What couldn't be read of it is named at the top of the page.

    Args:
        run: from `compare.report.load.load_run`.
        out: where both go, a directory that is made where there is none; None takes the run's own.

    Returns:
        The path of the page.

    Raises:
        OSError: the page can't be written.
    """
    folder = run.folder if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    return write_page("report/report.html.j2", _context(run, folder), folder)


def write_page(template: str, context: dict, folder: Path) -> Path:
    """Render a template as the folder's ``report.html``."""
    path = folder / PAGE
    write(path, render(template, {"gap": GAP, **context}))
    return path


def picture(figure: Figure, name: str, alt: str, folder: Path) -> dict:
    """Save a figure in the folder's ``figures/``, and make what the template shows of it."""
    return {"name": name, "alt": alt, "svg": Markup(drawing.save(figure, name, folder / "figures"))}


def _context(run: Run, folder: Path) -> dict:
    tables = [_table(table, folder) | {"by_class": by_class(table, run.config)} for table in run.tables]
    policies = [name for name in POLICIES if any(name in table.rows for table in run.tables)]
    return {
        "title": _title(run.tables),
        "subtitle": " · ".join(
            [
                "Where fit and evaluate part",
                *(table["heading"] for table in tables),
                *sections.data(run.config),
            ]
        ),
        "warnings": run.warnings,
        "tables": tables,
        "explained": any(table["terms"] for table in tables),
        "drifting": any(table["drift"] for table in tables),
        "codes": [_code(name) for name in policies],
        "forward": [(f"{SIDES[side]}: {where}", text) for side, (where, text) in code.forward_code().items()],
        "backends": backends([name for table in run.tables for name in table.frameworks]),
        "facts": sections.settings(run.config),
        "rounding": any(_parts_by_rounding(table) for table in run.tables),
        "seeds": max(table.seeds for table in run.tables),
    }


def _parts_by_rounding(table: Table) -> bool:
    """Whether trainings that compute the same may part all the same."""
    return table.numerics == "matched" and any(POLICIES[name].behaviour.body_trains for name in table.rows)


def _title(tables: list[Table]) -> str:
    """The sentence that a person came with, of the first table that has a gap to tell of."""
    first: list[Headline] = [headlines(table)[0] for table in tables]
    return plain(next((line for line in first if line.why), first[0]).says).rstrip(".")


def _table(table: Table, folder: Path) -> dict[str, Any]:
    """Make what the sections show of one backbone and numerics."""
    terms, lines, columns = sections.terms(table), answer(table), list(table.labels.values())
    alt = f"Loss over epochs, {table.heading}: fit, evaluate and validation. {lines[0]}"
    shown = {
        "name": table.name,
        "heading": table.heading,
        "headlines": headlines(table),
        "answer": lines,
        "cures": [_cure(table, cure, policies) for cure, policies in cures(table)],
        "frameworks": table.frameworks,
        "labels": table.labels,
        "rows": sections.results(table),
        "tests": sections.tests(table),
        "curves": picture(curves(sections.panels(table), columns), f"curves-{table.name}", alt, folder),
        "terms": terms,
        "stages": sections.stages(table),
        "details": sections.details(table),
        "drift": None,
    }
    return shown | (_explained(table, columns, folder) if terms else {})


def _explained(table: Table, columns: list[str], folder: Path) -> dict[str, Any]:
    """The figures of what explanations say."""
    rows = {
        policy: {label: sections.bar(row.get(name)) for name, label in table.labels.items()}
        for policy, row in table.rows.items()
    }
    labels = sections.labels([entry for _, _, entry in table.entries])
    alt = f"The terms of the gap in loss, {table.heading}, for each policy and framework; their figures are below."
    found = {"bars": picture(bars(rows, columns, labels), f"terms-{table.name}", alt, folder)}
    if strips := sections.strips(table):
        alt = f"Drift of the BN layers' moving statistics over the depth, {table.heading}; by stage below."
        found["drift"] = picture(drift(strips), f"drift-{table.name}", alt, folder)
    return found


def _cure(table: Table, cure: Cure, policies: dict[str, list[str]]) -> dict:
    sides = {FRAMEWORKS[name].side for own in policies.values() for name in own}
    whom = join(f"{policy} ({join(table.labels[name] for name in own)})" for policy, own in policies.items())
    return {
        "what": cure.what,
        "whom": f"for {whom}",
        "codes": [(called, coloured(cure.code[side])) for side, called in SIDES.items() if side in sides],
    }


def _code(name: str) -> dict:
    policy = POLICIES[name]
    spelling, setting = code.spelling(policy), code.policy_code(policy)
    return {
        "policy": name,
        "who": policy.who,
        "spelling": [(f"{SIDES[key]}: to write", text) for key, text in spelling.items()],
        "setting": [(f"{key}_impl/bn_policy.py", text) for key, text in setting.items()],
    }
