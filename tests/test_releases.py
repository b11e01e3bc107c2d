"""`compare run --as RELEASE`: which policies a release can be told, by its records, and what a person reads."""

import pytest

from compare import cli, releases
from compare.spec import DEFAULT_POLICIES, InputError

FROZEN, CALLED = "layer.trainable = False", "layer(x, training=False); layer.trainable = False"


@pytest.mark.parametrize(
    ("release", "policy", "spelling"),
    [
        ("keras-1.2.2", "frozen-drifting", FROZEN),
        ("keras-2.0.0", "batch-stats", CALLED),  # its training=False is inverted, in evaluation too
        ("keras-2.1.2", "frozen-drifting", FROZEN),
        ("keras-2.1.2", "frozen", CALLED),
        ("keras-2.1.3", "frozen-batch-stats", FROZEN),
        ("keras-2.2.4", "frozen-batch-stats", FROZEN),
        ("keras-2.2.4", "frozen-drifting", f"{FROZEN} before compile, True after it"),
        ("keras-2.3.1", "fine-tune-bn-frozen", CALLED),
        ("tf.keras-1.15", "frozen-batch-stats", FROZEN),
        ("tf.keras-2.0", "frozen", FROZEN),
        ("tf-keras-2.21", "frozen", FROZEN),
    ],
)
def test_what_a_person_wrote_then(release, policy, spelling):
    assert releases.spelled(release)[policy] == spelling


@pytest.mark.parametrize(
    ("release", "policy"),
    [("keras-1.2.2", "frozen"), ("keras-2.1.2", "frozen-batch-stats"), ("keras-2.2.4", "adapted")],
)
def test_what_a_release_could_not_be_told(release, policy):
    with pytest.raises(
        InputError, match=f"--policy {policy}: {release} has no spelling for it; it has .*bn-train"
    ):
        releases.choose_policies(release, ["bn-trainable", policy])


def test_the_default_policies_are_those_that_it_could():
    assert releases.choose_policies("keras-2.1.2", list(DEFAULT_POLICIES)) == [
        name for name in DEFAULT_POLICIES if name != "frozen-batch-stats"
    ]
    assert releases.choose_policies("keras-2.0.0", ["all"])[-1] == "batch-stats"


def test_a_line_says_what_it_means():
    assert releases.meanings("keras-2.2.4", ["frozen-batch-stats", "bn-trainable"])[0] == (
        "as keras-2.2.4: layer.trainable = False (frozen-batch-stats): fit normalises with batch statistics and keeps "
        "the moving ones, evaluate with moving statistics"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--as", "keras-2.2"], "unknown release 'keras-2.2': did you mean 'keras-2.2.4'? It can be keras-1.2.2, "),
        (["--as", "keras-3.15.1"], "unknown release 'keras-3.15.1'"),
        (["--as", "keras-2.1.2", "--policy", "frozen-batch-stats"], "--policy frozen-batch-stats: keras-2.1.2 has no"),
        (["--as", "keras-2.2.4", "--numerics", "native", "--numerics", "matched"], "--numerics native, matched: --as"),
    ],
)  # fmt: skip
def test_what_a_person_got_wrong_is_one_line(arguments, words, capsys):
    assert cli.main(["run", "--backbone", "resnet50", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
