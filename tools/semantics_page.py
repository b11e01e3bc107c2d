"""Measure every framework installed, and write docs/semantics.md and the records that the tests compare with.

python -m tools.semantics_page
"""

import json
from pathlib import Path

from compare.cells.store import write
from compare.frameworks import installed
from compare.processes.environment import default_jobs
from compare.semantics.measuring import measure
from compare.semantics.page import chapter
from compare.semantics.record import RECORDS, read, releases

PAGE = Path(__file__).parent.parent / "docs" / "semantics.md"


def main() -> None:
    """Measure, and replace what was recorded of the same frameworks."""
    for record in measure(installed(), default_jobs()):
        for old in map(read, releases()):
            if old.framework == record.framework:
                (RECORDS / f"{old.release}.json").unlink()
        recorded = {**record.as_dict(), "how": "recorded"}
        write(RECORDS / f"{record.release}.json", json.dumps(recorded, indent=1) + "\n")
    write(PAGE, chapter())


if __name__ == "__main__":
    main()
