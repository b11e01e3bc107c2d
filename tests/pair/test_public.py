"""Public pairs, `keras.applications` against torchvision, from random weights that leave no array at a default."""

import pytest

from benchmarks.public_pairs import PAIRS, judged

# name -> the first cause as torchvision has it, and after each mend; then nothing is left
CAUSES = {
    "VGG19": ("unmapped", "dropout-rate"),
    "DenseNet121": ("epsilon", "decay"),
    "MobileNetV2": ("padding", "epsilon", "decay", "dropout-rate"),
    "MobileNetV3Small": ("input-scale", "padding", "decay"),
    "InceptionV3": ("decay", "pooling", "dropout-rate", "extra-parameter"),
    "ConvNeXtTiny": ("input-scale", "dropout-rate"),
    "EfficientNetB0": ("input-scale", "padding", "epsilon", "decay"),
    "ResNet50": ("bias", "epsilon", "stride", "decay"),
}


def test_every_public_pair_has_its_causes():
    assert {name: len(causes) for name, causes in CAUSES.items()} == PAIRS


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_public_pair_is_mapped_whole_and_each_difference_named_until_it_is_the_same(both, name):
    for mends, cause in enumerate((*CAUSES[name], None)):
        outcome = judged(both, name, mends)
        first = outcome.first or {}
        assert (outcome.verdict if outcome.verdict == "unmapped" else first.get("cause")) == cause, (
            outcome.first
        )
        if cause is None:
            assert outcome.verdict == "same"
            assert not [one for one in outcome.map.left if one.side == "keras"]
