"""Processes for which a package isn't installed, be it here: what a person meets who has one backend alone."""

import os
from pathlib import Path

SITE = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {packages} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""
ROOT = Path(__file__).parent.parent.parent


def environment(folder: Path, *packages: str) -> dict[str, str]:
    """The environment in which Python, and every process that it starts, finds none of the packages.

    Args:
        folder: an empty one, for what Python reads when it starts.
    """
    (folder / "sitecustomize.py").write_text(SITE.replace("{packages}", repr(set(packages))))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "KERAS_HOME": str(folder)}
