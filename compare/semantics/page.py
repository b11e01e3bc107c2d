"""The chapter: ``semantics.md``, from records alone, so that the same facts give the same page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compare.frameworks import FRAMEWORKS
from compare.semantics.record import Record, read, releases
from compare.semantics.surprises import surprises
from compare.semantics.terminal import COLUMNS, cells, differing, epoch, facts_rows
from compare.semantics.timeline import timeline
from compare.semantics.words import gap, policy

TESTED = ("keras", "keras-torch", "torch")  # what the tests measure again and compare with the records


def chapter() -> str:
    """Render the project's own chapter: everything that is recorded, the frameworks of today first."""
    past = [read(name) for name in releases()]
    today = sorted((r for r in past if r.framework), key=lambda r: list(FRAMEWORKS).index(str(r.framework)))
    return render([*today, *(record for record in past if record.framework is None)])


def render(records: Sequence[Record]) -> str:
    """Render records as Markdown: the time line, the surprises, a table a release, and each row's code."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["how"] = _how
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("*", "\\*")
    return environment.get_template("page.md.j2").render(
        records=records,
        columns=COLUMNS,
        periods=timeline(records),
        surprises=list(surprises(records)),
        codes=_codes(records),
        cells=cells,
        differing=lambda record: differing(record, records),
        facts_rows=facts_rows,
        epoch=epoch,
        gap=gap,
        policies=lambda row: " or ".join(f"`{p.name}`" for p in policy(row["facts"])[0]),
        but=lambda row: policy(row["facts"])[1],
    )


def _how(record: Record) -> str:
    """How a record's facts are known: by a measurement that the tests do again, or by one of then."""
    again = record.framework in TESTED and not record.measured
    return f"measured {record.date}, again by the tests" if again else record.how


def _codes(records: Sequence[Record]) -> list[tuple[str, str, str, list[str]]]:
    """Every code that is run: side, spelling, code, and the releases that ran it."""
    codes: dict[tuple[str, str, str], list[str]] = {}
    for record in records:
        for row in record.rows:
            codes.setdefault((record.side, row["spelling"], row["code"].strip()), []).append(record.label)
    return [(*key, labels) for key, labels in codes.items()]
