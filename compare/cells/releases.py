"""The Keras releases that `compare run --as` trains as: what each could be told, and what that meant."""

from __future__ import annotations

from compare.semantics.record import read, releases
from compare.spec import DEFAULT_POLICIES, POLICIES, InputError, choose

# what a person writes on the BN layers, as the records have it -> what else may train beside the head
SPELLINGS = {
    "layer.trainable = False": ("head", "all-but-bn"),
    "layer(x, training=False); layer.trainable = False": ("head", "all-but-bn"),
    "layer.trainable = False before compile, True after it": ("head",),
    "base.trainable = False; then layer.trainable = isinstance(layer, BatchNormalization)": ("head",),
    "layer.trainable = isinstance(layer, BatchNormalization)": ("bn",),
    "BatchNormalization()": ("all",),
}
FEATURES = "features = base.predict(images); head.fit(features, labels)"


def names() -> tuple[str, ...]:
    """The recorded releases of the past, oldest first."""
    return tuple(name for name in releases() if read(name).framework is None)


def spelled(release: str) -> dict[str, str]:
    """Map each policy that a release can be told to what a person writes for it, by what was measured then.

    Raises:
        InputError: no such release is recorded.
    """
    record = read(choose("release", release, names()))
    found: dict[str, str] = {}
    for name, policy in POLICIES.items():
        for spelling, trains in SPELLINGS.items():
            row = record.row(spelling)
            if row and row.does and policy.trains in trains and policy.matches(row.does.behaviour):
                found.setdefault(name, "nothing is frozen" if policy.trains == "all" else spelling)
        if policy.features:
            found[name] = FEATURES
    return found


def choose_policies(release: str, asked: list[str]) -> list[str]:
    """Leave of the policies asked for, or of the default ones, those that a release can be told.

    Raises:
        InputError: one that was asked for by name can't be told, or no such release is recorded.
    """
    can = spelled(release)
    if "all" in asked or asked == list(DEFAULT_POLICIES):
        return [name for name in can if "all" in asked or name in asked]
    for name in asked:
        if name not in can:
            raise InputError(f"--policy {name}: {release} has no spelling for it; it has {', '.join(can)}")
    return asked


def matched(release: str, numerics: list[str]) -> list[str]:
    """Return the numerics of a run as a release: Keras's, in both frameworks.

    Raises:
        InputError: something else was asked for.
    """
    if numerics not in (["native"], ["matched"]):  # the first is what the option has where it isn't given
        raise InputError(
            f"--numerics {', '.join(numerics)}: --as {release} computes as that Keras did, matched"
        )
    return ["matched"]


def meanings(release: str, policies: list[str]) -> list[str]:
    """Say, a line a policy, what is written in that release and what it does."""
    can = spelled(release)
    return [
        f"as {release}: {can[name]} ({name}): {POLICIES[name].normalises}" for name in policies if name in can
    ]
