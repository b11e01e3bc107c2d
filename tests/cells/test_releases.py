"""`compare run --as RELEASE`: which policies a release can be told, by its records, and what a person reads."""

import h5py
import pytest
from safetensors.numpy import load_file

from compare.cells import releases
from compare.cli import app as cli
from compare.spec import DEFAULT_POLICIES, InputError
from compare.weights.reading import read
from compare.weights.settle import backbone
from compare.weights.sources import resolve
from tests.support import legacy

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
        "as keras-2.2.4: layer.trainable = False (frozen-batch-stats): fit uses batch statistics and keeps the moving "
        "ones; evaluate uses moving ones"
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


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("release", legacy.STRUCTURES)
def test_an_old_file_gets_the_structure_of_its_release(release, whole, tmp_path):
    """What `compare run --weights` trains; tests/torch and tests/keras hold the structures against recorded outputs."""
    file = legacy.write_h5(tmp_path / "old.h5", release, whole)
    facts = resolve(str(file), "resnet50", tmp_path / "weights.safetensors")
    variant = legacy.STRUCTURES[release]
    assert (facts["variant"], facts["width"]) == (variant, legacy.WIDTH)
    assert (f"({variant})" in facts["why"]) == (variant != "v1")
    assert legacy.same(load_file(tmp_path / "weights.safetensors"), legacy.resnet50_arrays(release))


@pytest.mark.parametrize(
    ("version", "variant"),
    [
        ("2.0.6", "v1-old-unpadded"),
        ("2.0.7", "v1-old-same"),
        ("2.1.4", "v1-old-same"),
        ("2.1.5", "v1-old-unpadded"),
        ("2.2.2", "v1-old-unpadded"),
        ("2.2.3", "v1-old"),
        (None, "v1-old"),
    ],
)
def test_the_releases_between_the_recorded_ones(version, variant, tmp_path):
    file = legacy.write_h5(tmp_path / "old.h5", "keras-2.2.4")
    with h5py.File(file, "a") as h5:
        del h5.attrs["keras_version"]
        if version:
            h5.attrs["keras_version"] = version.encode()
    source = read(file)
    assert backbone(source)[0].variant == variant
    assert (source.told.variant is not None) == (version is not None)


def test_an_epsilon_that_no_structure_has_is_refused(tmp_path):
    file = legacy.write_h5(tmp_path / "old.h5", "keras-2.2.4", whole=True)
    with h5py.File(file, "a") as h5:
        h5.attrs["model_config"] = h5.attrs["model_config"].replace("0.001", "0.02").encode()
    with pytest.raises(InputError, match=r"old.h5: its BN layers have an epsilon of 0.02, v1 has 1.001e-05"):
        resolve(str(file), "resnet50", tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()
