"""``python -m compare``: the same as the command ``compare``."""

import sys

from compare.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
