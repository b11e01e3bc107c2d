"""Write docs/diagnose.md with the cures as they are.

python -m tools.diagnose_page
"""

from pathlib import Path

from compare.diagnosis.show.chapter import chapter
from compare.files import write

PAGE = Path(__file__).parent.parent / "docs" / "diagnose.md"


def main() -> None:
    """Replace the page."""
    write(PAGE, chapter())


if __name__ == "__main__":
    main()
