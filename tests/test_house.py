"""The house stands as DESIGN.md draws it: who imports whom, over how many floors, and nobody's private names."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("compare", "keras_impl", "torch_impl", "tests", "benchmarks", "tools")
PATHS = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = {
    path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in PATHS
}
MODULES = set(NAMES.values())

# from the top; a room imports from those below its own floor, and from none beside it
FLOORS = (
    ("cli",),
    ("lightning", "transformers"),
    ("keras", "torch"),
    ("run",),
    ("pair", "parity", "port", "report", "semantics"),
    ("cells",),
    ("verdict",),
    ("gap",),
    ("diagnosis", "given"),
    ("weights",),
    ("processes",),
    ("pages", "data"),
    ("frameworks",),
    ("wings",),
    ("files",),
    ("spec", "words"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
DOORS = {"", "__main__"}  # `import compare` and `python -m compare`, which lead to a room each
EXCEPTED = {
    ("port", "parity"): "a moved network is proven by parity's own comparison",
    ("pair", "parity"): "as port",
    ("report", "semantics"): "where a run's backends part was measured, and the records of that are there",
    (
        "cells",
        "semantics",
    ): "a release's policy is what it was measured to do, and the records of that are there",
}
MOST_FLOORS = 9


def _imported(path):
    """Yield every module of the project that a file imports, and the name that it takes from it, if it does."""
    package = NAMES[path].split(".") if path.name == "__init__.py" else NAMES[path].split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, alias.asname or alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                yield (
                    (whole, None, alias.asname or alias.name)
                    if whole in MODULES
                    else (module, alias.name, None)
                )


def _private(name):
    return name.startswith("_") and not name.startswith("__")


def _private_reaches(path):
    """List what a file takes of another module's private names, imported or by way of the module."""
    found, modules = [], {}
    for module, name, alias in _imported(path):
        if module.split(".")[0] not in PACKAGES:
            continue
        if name is None:
            modules[alias] = module
        elif _private(name):
            found.append(f"{module}.{name}")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and _private(node.attr) and ast.unparse(node.value) in modules:
            found.append(f"{modules[ast.unparse(node.value)]}.{node.attr}")
    return sorted(set(found))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_reaches_for_anothers_private_names(package):
    reaches = {NAMES[path]: _private_reaches(path) for path in PATHS if NAMES[path].split(".")[0] == package}
    assert not {name: reached for name, reached in reaches.items() if reached}


def test_a_private_reach_is_found_however_it_is_written(tmp_path, monkeypatch):
    path = ROOT / "compare" / "cells" / "planted.py"
    text = "from compare.spec import _a\nfrom compare import spec as s\nimport compare.files\ns._b\ncompare.files._c\n"
    monkeypatch.setitem(NAMES, path, "compare.cells.planted")
    monkeypatch.setattr(Path, "read_text", lambda self, **_: text)
    assert _private_reaches(path) == ["compare.files._c", "compare.spec._a", "compare.spec._b"]


def _room(module):
    return module.split(".")[1] if "." in module else ""


def _arrows():
    """Map (room, room below) to the imports that make it so."""
    arrows = {}
    for path in PATHS:
        if NAMES[path].split(".")[0] == "compare":
            for module, _, _ in _imported(path):
                ends = _room(NAMES[path]), _room(module)
                if module.split(".")[0] == "compare" and ends[0] != ends[1] and not DOORS & set(ends):
                    arrows.setdefault(ends, []).append(f"{NAMES[path]} -> {module}")
    return arrows


def test_every_room_of_compare_has_its_floor():
    assert {_room(name) for name in MODULES if name.split(".")[0] == "compare"} - DOORS <= set(FLOOR)


def test_no_room_imports_upward_or_beside_it():
    wrong = {ends: found for ends, found in _arrows().items() if FLOOR[ends[0]] >= FLOOR[ends[1]]}
    assert not {ends: found for ends, found in wrong.items() if ends not in EXCEPTED}
    assert set(EXCEPTED) <= set(wrong), "an exception that no longer is one must go"


def test_the_house_has_nine_floors_at_most():
    arrows = set(_arrows())
    left, floors = {room for ends in arrows for room in ends}, 0
    while left:
        ground = {
            room for room in left if not any(above == room and below in left for above, below in arrows)
        }
        assert ground, f"a circle of imports between {sorted(left)}"
        left, floors = left - ground, floors + 1
    assert floors <= MOST_FLOORS
