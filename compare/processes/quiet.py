"""TensorFlow's words at its import, left out: of the processor, and of cards that it looked for.

TensorFlow 2.21 says them before it asks ``TF_CPP_MIN_LOG_LEVEL``, so that they are taken out of what the import writes.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# a line of TensorFlow's log, in its older form and in its newer one, and what comes before the first
LOG = re.compile(rb"([IWE]\d{4} |\d{4}-\d\d-\d\d .*: [IWE] |WARNING: All log messages before absl)")


def hush() -> None:
    """Have TensorFlow be imported without its log, whoever imports it; what else is written then is seen."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds TensorFlow as the others find it, and has it hold its words while it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        others = [one for one in sys.meta_path if one is not self and hasattr(one, "find_spec")]
        found = next((spec for one in others if (spec := one.find_spec(fullname, path, target))), None)
        if found is not None and found.loader is not None:
            found.loader.exec_module = _without_log(found.loader.exec_module)  # type: ignore[method-assign, assignment]
        return found


def _without_log(load: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def loading(module: ModuleType) -> None:
        with held():
            load(module)

    return loading


@contextmanager
def held() -> Iterator[None]:
    """Hold what is written on standard error, by libraries in C as well, and write it afterwards without the log.

    All of it where an error ends what is done.
    """
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file:
                if failed or not LOG.match(line):
                    os.write(2, line)
