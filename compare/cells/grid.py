"""The grid of a run: which trainings are distinct, and the cells in their canonical order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compare.frameworks import FRAMEWORKS
from compare.spec import BACKBONES, NUMERICS, POLICIES, Cell, InputError, Policy, choose


@dataclass(frozen=True)
class Grid:
    """What a run trains: every combination of these, in this order.

    Attributes:
        policies: the policy trained -> the policies asked for that it stands for (itself, with BN).
    """

    backbone: str
    frameworks: tuple[str, ...]
    policies: dict[str, list[str]]
    numerics: tuple[str, ...]
    seeds: int

    @property
    def cells(self) -> list[Cell]:
        """The cells, in the order of the tables' rows."""
        return [
            Cell(framework, self.backbone, policy, numerics, seed)
            for framework in self.frameworks
            for policy in self.policies
            for numerics in self.numerics
            for seed in range(self.seeds)
        ]

    @property
    def merged(self) -> str:
        """A sentence on the policies that are one training here; empty where each is its own."""
        groups = {name: same for name, same in self.policies.items() if same != [name]}
        if not groups:
            return ""
        listed = "; ".join(f"{name} stands for {', '.join(same)}" for name, same in groups.items())
        return (
            f"{self.backbone} has no BN layers, so policies that differ only in BN are one training: {listed}"
        )


def grid(
    backbone: str,
    frameworks: Iterable[str],
    policies: Iterable[str],
    numerics: Iterable[str],
    seeds: int,
    batch_size: int,
) -> Grid:
    """Make the grid of what a person asked for, in any order and with repetitions.

    Raises:
        InputError: a policy can't be trained with batches of that size.
    """
    names = list(POLICIES) if "all" in policies else [name for name in POLICIES if name in policies]
    distinct = distinct_policies(backbone, names)
    uses_batch = [name for name in distinct if POLICIES[name].fit_statistics == "batch"]
    if batch_size == 1 and uses_batch and BACKBONES[backbone].has_bn:
        raise InputError(
            f"--batch-size 1: {', '.join(uses_batch)} normalise with batch statistics; it must be 2 or more"
        )
    ordered_frameworks = tuple(name for name in FRAMEWORKS if name in frameworks)
    ordered_numerics = tuple(name for name in NUMERICS if name in numerics)
    return Grid(backbone, ordered_frameworks, distinct, ordered_numerics, seeds)


def check(kind: str, values: Iterable[str], allowed: Iterable[str]) -> None:
    """Raise InputError for the first of ``values`` that isn't one of ``allowed``."""
    for value in values:
        choose(kind, value, tuple(allowed))


def distinct_policies(backbone: str, names: Iterable[str]) -> dict[str, list[str]]:
    """Group policies that are one and the same training of a backbone.

    Returns:
        The policy to train -> those of ``names`` that it stands for.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        trained = name if BACKBONES[backbone].has_bn else _without_bn(POLICIES[name])
        groups.setdefault(trained, []).append(name)
    return groups


def _without_bn(policy: Policy) -> str:
    """What is left of a policy in a network without BN: which of its weights train, and features or not."""
    if policy.features:
        return policy.name
    return "fine-tune" if policy.trains.startswith("all") else "frozen"
