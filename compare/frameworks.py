"""The frameworks that can be measured here, without importing them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from compare.spec import InputError, choose


@dataclass(frozen=True)
class Framework:
    """One that spellings can be measured in.

    Attributes:
        name: what ``--framework`` calls it.
        label: what a person calls it.
        needs: packages that must be installed; their versions are part of a measurement.
    """

    name: str
    label: str
    needs: tuple[str, ...]

    @property
    def side(self) -> str:
        """``keras`` or ``torch``: whose spellings it has."""
        return self.name.partition("-")[0]

    @property
    def backend(self) -> str:
        """What Keras computes with."""
        return self.name.partition("-")[2] or "tensorflow"

    @property
    def missing(self) -> list[str]:
        """The packages that aren't installed."""
        return [package for package in self.needs if find_spec(package) is None]


FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("keras", "Keras on TensorFlow", ("keras", "tensorflow")),
        Framework("keras-torch", "Keras on PyTorch", ("keras", "torch")),
        Framework("keras-jax", "Keras on JAX", ("keras", "jax")),
        Framework("torch", "PyTorch", ("torch", "torchvision")),
    )
}


def installed() -> list[str]:
    """The names of the frameworks that are there."""
    return [name for name, framework in FRAMEWORKS.items() if not framework.missing]


def check(name: str) -> Framework:
    """Return a framework by its name.

    Raises:
        InputError: there is none of that name, or it isn't installed.
    """
    framework = FRAMEWORKS[choose("framework", name, tuple(FRAMEWORKS))]
    if framework.missing:
        there = ", ".join(installed()) or "none"
        get = " ".join(framework.missing)
        raise InputError(
            f"framework {name!r} isn't installed; there are {there}. Get it with: pip install {get}"
        )
    return framework
