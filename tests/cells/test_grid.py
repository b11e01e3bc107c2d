import pytest

from compare.cells.grid import distinct_policies, grid
from compare.spec import DEFAULT_POLICIES, POLICIES, InputError


def test_vgg16_has_three_distinct_trainings():
    assert distinct_policies("vgg16", POLICIES) == {
        "frozen": [
            "frozen-batch-stats",
            "frozen-drifting",
            "frozen",
            "bn-trainable",
            "batch-stats",
            "adapted",
        ],
        "features": ["features"],
        "fine-tune": ["fine-tune", "fine-tune-bn-frozen", "fine-tune-recalibrated"],
    }


def test_resnet50_has_ten():
    assert distinct_policies("resnet50", POLICIES) == {name: [name] for name in POLICIES}


def test_what_is_one_training_is_said_in_a_sentence():
    merged = grid("vgg16", ("keras",), DEFAULT_POLICIES, ("native",), 1, 32).merged
    assert merged == (
        "vgg16 has no BN layers, so policies that differ only in BN are one training: "
        "frozen stands for frozen-batch-stats, frozen-drifting, frozen, bn-trainable"
    )
    assert grid("resnet50", ("keras",), DEFAULT_POLICIES, ("native",), 1, 32).merged == ""


def test_order_and_repetition_of_what_is_asked_for_make_no_difference():
    one = grid(
        "resnet50", ("torch", "keras"), ("fine-tune", "frozen", "frozen"), ("matched", "native"), 2, 32
    )
    two = grid("resnet50", ("keras", "torch", "keras"), ("frozen", "fine-tune"), ("native", "matched"), 2, 32)
    assert one == two
    assert [cell.name for cell in one.cells[:5]] == [
        "keras-frozen-native-seed0",
        "keras-frozen-native-seed1",
        "keras-frozen-matched-seed0",
        "keras-frozen-matched-seed1",
        "keras-fine-tune-native-seed0",
    ]
    assert len(set(one.cells)) == 16


def test_all_stands_for_the_ten():
    assert list(grid("resnet50", ("keras",), ("frozen", "all"), ("native",), 1, 2).policies) == list(POLICIES)


def test_batch_size_one_is_refused_where_a_batch_normalises():
    with pytest.raises(InputError, match=r"--batch-size 1: frozen-drifting, fine-tune normalise with batch"):
        grid("resnet50", ("torch",), ("frozen", "frozen-drifting", "fine-tune"), ("native",), 1, 1)
    assert len(grid("resnet50", ("torch",), ("frozen", "adapted"), ("native",), 1, 1).cells) == 2
    assert len(grid("vgg16", ("torch",), ("fine-tune",), ("native",), 1, 1).cells) == 1
