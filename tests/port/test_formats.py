"""compare.port: every pair of formats there and back, and what is said of it."""

import pytest
import safetensors.numpy

from compare.spec import InputError
from tests.support import legacy
from tests.support.ported import OWN, assert_equal, held, moved, with_dense
from tests.support.weight_files import arrays_of

KERAS = [".keras", ".weights.h5", ".h5"]
TORCH = [
    (".pth", "project"),
    (".pt", "torchvision"),
    (".safetensors", "project"),
    (".safetensors", "torchvision"),
]


@pytest.fixture(scope="module")
def own_head(tmp_path_factory):
    """VGG16 with a person's own dense layers on a flattened map; a folder for its files, made once each."""
    folder = tmp_path_factory.mktemp("own_head")
    arrays = with_dense(arrays_of("vgg16", width=0.0625), 32 * 4)
    safetensors.numpy.save_file(arrays, folder / "a.safetensors")
    return folder, arrays


@pytest.mark.parametrize("back", KERAS)
@pytest.mark.parametrize(("between", "layout"), TORCH)
@pytest.mark.parametrize("start", KERAS)
def test_keras_to_pytorch_and_back_is_the_same_bit_for_bit(unproven, own_head, start, between, layout, back):
    folder, arrays = own_head
    keras, torch = folder / f"a{start}", folder / f"{start}-{layout}{between}"
    again = folder / f"{start}-{layout}{between}{back}"
    for source, dest, options in [
        (folder / "a.safetensors", keras, {}),
        (keras, torch, {"layout": layout}),
        (torch, again, {}),
    ]:
        if not dest.exists():
            moved(source, dest, **options)
    for path in (keras, torch, again):
        assert_equal(held(path)[0], arrays)


@pytest.mark.parametrize(("variant", "top"), [("v1", {}), ("v1", {"predictions": (3, True)}), ("v1.5", OWN)])
def test_resnet50_through_every_format(tmp_path, unproven, variant, top):
    arrays = with_dense(arrays_of("resnet50", variant, 0.0625), 128, top)
    safetensors.numpy.save_file(arrays, tmp_path / "0.safetensors")
    steps = [(".keras", None), (".pth", "project"), (".weights.h5", "project" if top == OWN else None)]
    steps += [
        (".safetensors", "project"),
        (".h5", None),
        (".pt", None),
        (".safetensors", "neutral"),
        (".keras", None),
    ]
    if variant == "v1":
        steps.append((".h5", "applications-old"))
    source = tmp_path / "0.safetensors"
    for number, (suffix, layout) in enumerate(steps, 1):
        dest = tmp_path / f"{number}{suffix}"
        options = {"epsilon": 1e-3, "variant": variant} if number == 1 else {}
        moved(source, dest, layout=layout, **options)
        found, said = held(dest)
        assert_equal(found, arrays)
        if suffix not in (".weights.h5",):
            assert (said.epsilon, said.decay, said.variant) == (
                1e-3,
                0.99,
                {"v1": "v1-old"}.get(variant, variant),
            )
            assert [layer.name for layer in said.top] == list(top)
            source = dest


def test_an_old_structure_goes_where_a_graph_goes(tmp_path, unproven):
    """Into the classes of today it can't: the first pooling there is another."""
    release = "keras-2.1.2"
    old = legacy.write_h5(tmp_path / "old.h5", release)
    for suffix, layout in ((".weights.h5", "applications"), (".pth", "torchvision")):
        with pytest.raises(
            InputError, match=f"{legacy.STRUCTURES[release]} weights into {layout}'s ResNet50"
        ):
            moved(old, tmp_path / f"no{suffix}", layout=layout)
    for dest in (tmp_path / "a.keras", tmp_path / "b.pth"):
        moved(old, dest)
        found, said = held(dest)
        assert_equal(found, legacy.resnet50_arrays(release))
        assert (said.variant, said.epsilon) == (legacy.STRUCTURES[release], 1e-3)


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("a.weights.h5", {"layout": "applications"}, "BatchNormalization): layer.epsilon = 0.001"),
        ("a.pth", {"fold_bias": True}, "BatchNorm2d): layer.eps = 0.001"),
    ],
)
def test_an_epsilon_that_the_class_has_not_is_said(tmp_path, unproven, name, options, line):
    lines = []
    old = legacy.write_h5(tmp_path / "old.h5", "keras-2.2.4")
    moved(old, tmp_path / name, say=lines.append, **options)
    assert line in "\n".join(lines)
