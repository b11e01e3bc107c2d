"""What a person names: a file of weights, or a model as ``FILE.py:NAME``, and in which framework."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from compare.given.code import is_code, split
from compare.spec import InputError

MODEL_FILES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class Reference:
    """A model that a person names.

    Attributes:
        text: as it was given.
        framework: ``keras`` or ``torch``; empty where that can't be told.
    """

    text: str
    framework: str

    @property
    def is_file(self) -> bool:
        """Whether it is a file that Keras wrote."""
        return self.text.endswith(MODEL_FILES)


def pair(a: str, b: str) -> tuple[Reference, Reference]:
    """Settle which is Keras's and which PyTorch's.

    Returns:
        Keras's first.

    Raises:
        InputError: one isn't there, or both are of one framework.
    """
    first, second = reference(a), reference(b)
    if not first.framework and not second.framework:
        first, second = Reference(a, "keras"), Reference(b, "torch")
    other = {"keras": "torch", "torch": "keras"}
    first = Reference(a, first.framework or other[second.framework])
    second = Reference(b, second.framework or other[first.framework])
    if first.framework == second.framework:
        name = "Keras" if first.framework == "keras" else "PyTorch"
        raise InputError(f"{a} and {b} are both {name} models; one of each is needed")
    return (first, second) if first.framework == "keras" else (second, first)


def reference(text: str) -> Reference:
    """Read what a person gave.

    Raises:
        InputError: it names no model, or its file isn't there.
    """
    if text.endswith(MODEL_FILES):
        if not Path(text).is_file():
            raise InputError(f"{text}: no such file")
        return Reference(text, "keras")
    if not is_code(text):
        alone = "weights alone don't say what computes with them; " if Path(text).is_file() else ""
        raise InputError(
            f"{text}: {alone}a model is a .keras or .h5 file, FILE.py:NAME or package.module:NAME"
        )
    return Reference(text, _framework(_source(split(text)[0])))


def _source(module: str) -> Path | None:
    if module.endswith(".py"):
        return Path(module)
    path = Path(*module.split(".")).with_suffix(".py")
    if path.is_file():
        return path
    try:
        found = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise InputError(f"{module}: no such module")
    if found.origin is None:
        return None
    inner = Path(found.origin).parent.joinpath(*module.split(".")[1:])
    return next(
        (p for p in (inner.with_suffix(".py"), inner / "__init__.py") if p.is_file()), Path(found.origin)
    )


def _framework(path: Path | None) -> str:
    """The framework that a file imports, where it is one."""
    if path is None:
        return ""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: can't be read as Python: {' '.join(str(error).split())}") from error
    found = set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        found |= {name.split(".")[0] for name in names}
    keras = found & {"keras", "tensorflow", "tf_keras"}
    torch = found & {"torch", "torchvision", "timm", "transformers", "lightning"}
    if bool(keras) == bool(torch):
        return ""
    return "keras" if keras else "torch"
