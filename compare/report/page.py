"""The page: ``report.html``, one file that opens offline and holds its figures.

A section is a heading in ``report.html.j2`` and what `_table` and `_context` give it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from compare.report import code, rows
from compare.report.figures import drawing
from compare.report.figures.bars import bars
from compare.report.figures.curves import curves
from compare.report.figures.drift import drift
from compare.report.load import Run, load_run
from compare.spec import FRAMEWORKS, NAMES, POLICIES
from compare.verdict.answer import answer
from compare.verdict.figures import Group, groups
from compare.verdict.finding import GAP
from compare.verdict.with_terms import remedies
from compare.verdict.words import heading, join, names, points, signed


def write_report(run_dir: Path, out: Path | None = None) -> Path:
    """Render a run directory's ``report.html`` and ``figures/`` from what the run left; imports no framework.

    The same run gives the same bytes. What can't be read is named at the top of the page.

    Args:
        run_dir: the run directory.
        out: where both go, a directory that is made where there is none; None takes the run's own.

    Returns:
        The path of the page.

    Raises:
        InputError: there is no such directory, or no cell in it has ended.
        OSError: the page can't be written.
    """
    run = load_run(Path(run_dir))
    folder = run.folder if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    return write_page("report.html.j2", _context(run, folder), folder)


def write_page(template: str, context: dict, folder: Path) -> Path:
    """Render a template as the folder's ``report.html``."""
    path = folder / "report.html"
    drawing.replace(path, _environment().get_template(template).render(context).encode())
    return path


def picture(figure: Figure | None, name: str, alt: str, folder: Path) -> dict | None:
    """Save a figure in the folder's ``figures/``, and make what the template shows of it."""
    if figure is None:
        return None
    return {"name": name, "alt": alt, "svg": Markup(drawing.save(figure, name, folder / "figures"))}


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"tone": _tone, "names": NAMES, "gap": GAP}
    environment.filters |= {"signed": _minus, "figure": lambda value: f"{value:.3f}", "points": points}
    return environment


def _context(run: Run, folder: Path) -> dict:
    found = groups(run.config, run.cells)
    tables = [_table(group, folder) for group in found]
    policies = [name for name in POLICIES if any(name in group.rows for group in found)]
    return {
        "title": "Where fit and evaluate part",
        "subtitle": " · ".join([*(table["heading"] for table in tables), *rows.data(run.config)]),
        "warnings": run.warnings,
        "tables": tables,
        "explained": any(table["terms"] for table in tables),
        "drifting": any(table["drift"] for table in tables),
        "codes": [_code(name) for name in policies],
        "forward": [(f"{NAMES[name]}: {where}", text) for name, (where, text) in code.forward_code().items()],
        "facts": rows.facts(run.config),
        "seeds": max(group.seeds for group in found),
    }


def _table(group: Group, folder: Path) -> dict[str, Any]:
    """Make what the sections show of one backbone and numerics."""
    title = heading(group.backbone, group.numerics, group.release)
    terms, lines = rows.terms(group), answer(group)
    alt = f"Loss over epochs, {title}: fit, evaluate and validation. {lines[0]}"
    table = {
        "name": group.name,
        "heading": title,
        "answer": lines,
        "cures": [_cure(cure, policies) for cure, policies in remedies(group)],
        "frameworks": group.frameworks,
        "rows": rows.results(group),
        "tests": rows.tests(group),
        "curves": picture(curves(group), f"curves-{group.name}", alt, folder),
        "terms": terms,
        "stages": rows.stages(group),
        "stories": rows.stories(group),
        "drift": None,
    }
    if terms:
        alt = (
            f"The terms of the gap in loss, {title}, for each policy and framework; their figures are below."
        )
        table["bars"] = picture(bars(group.rows, group.frameworks), f"terms-{group.name}", alt, folder)
        alt = f"Drift of the BN layers' moving statistics over the depth, {title}; the stages' figures are below."
        table["drift"] = picture(drift(group), f"drift-{group.name}", alt, folder)
    return table


def _cure(cure, policies: dict[str, list[str]]) -> dict:
    frameworks = [name for name in FRAMEWORKS if any(name in own for own in policies.values())]
    whom = join(f"{policy} ({names(own)})" for policy, own in policies.items())
    return {
        "what": cure.what,
        "whom": f"for {whom}",
        "codes": [(NAMES[name], code.coloured(cure.code[name])) for name in frameworks],
    }


def _code(name: str) -> dict:
    policy = POLICIES[name]
    spelling, setting = code.spelling(policy), code.policy_code(policy)
    return {
        "policy": name,
        "who": policy.who,
        "spelling": [(f"{NAMES[key]}: to write", text) for key, text in spelling.items()],
        "setting": [(f"{key}_impl/bn_policy.py", text) for key, text in setting.items()],
    }


def _minus(value: float, digits: int = 3) -> str:
    return signed(value, digits).replace("-", "\N{MINUS SIGN}")


def _tone(worse: float) -> str:
    """Name the style of a difference, positive where evaluate is worse; NaN is worse too."""
    if not worse <= GAP:
        return "above"
    return "below" if worse < -GAP else "level"
