"""Public pairs, `keras.applications` against torchvision, from random weights that leave no array at a default."""

import pytest

from benchmarks.public_pairs import HERE, PAIRS, judged
from compare.pair.asked import Asked
from compare.pair.meeting import meet
from compare.pair.references import pair as references

# name -> the first cause as torchvision has it, and after each mend; then nothing is left
CAUSES = {
    "VGG19": ("unmapped", "dropout-rate"),
    "DenseNet121": ("epsilon", "decay"),
    "MobileNetV2": ("padding", "epsilon", "decay", "dropout-rate"),
    "MobileNetV3Small": ("input-scale", "padding", "decay"),
    "InceptionV3": ("decay", "pooling", "dropout-rate", "extra-parameter"),
    "ConvNeXtTiny": ("input-scale", "dropout-rate"),
    "EfficientNetB0": ("input-scale", "padding", "epsilon", "decay"),
    "ResNet50": ("bias", "epsilon", "decay", "stride"),
}


# name -> arrays of Keras's that have a partner, and that have none: what torchvision leaves to a transform, biases
MAPPED = {
    "VGG19": (36, 2), "DenseNet121": (606, 0), "MobileNetV2": (262, 0), "MobileNetV3Small": (210, 0),
    "InceptionV3": (378, 0), "ConvNeXtTiny": (182, 0), "EfficientNetB0": (311, 2), "ResNet50": (267, 53),
}  # fmt: skip
QUICK = ("MobileNetV2", "MobileNetV3Small", "InceptionV3", "EfficientNetB0")


def mapped(name, found):
    """Whether a map has what it must: no array of PyTorch's is two of Keras's."""
    left = [one for one in found.left if one.side == "keras"]
    assert (len({one.keras for one in found.bindings}), len(left)) == MAPPED[name], left[:3]
    return len({one.torch for one in found.bindings}) == len(found.bindings)


def test_every_public_pair_has_its_causes():
    assert {name: len(causes) for name, causes in CAUSES.items()} == PAIRS
    assert set(MAPPED) == set(PAIRS)


@pytest.mark.parametrize("name", QUICK)
def test_a_public_pair_is_mapped_without_a_map_of_a_person_s(both, name):
    keras, torch = references(f"{HERE}/in_keras.py:{name}", f"{HERE}/in_torch.py:{name}_0")
    found = meet(both, Asked(keras, torch), lambda line: None).map
    assert mapped(name, found)
    assert not found.undecided


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_public_pair_is_mapped_whole_and_each_difference_named_until_it_is_the_same(both, name):
    for mends, cause in enumerate((*CAUSES[name], None)):
        outcome = judged(both, name, mends)
        if mends == 0:
            assert mapped(name, outcome.map)
        first = outcome.first and outcome.first.cause
        assert (outcome.verdict if outcome.verdict == "unmapped" else first) == cause, outcome.first
        if cause is None:
            assert outcome.verdict == "same"
            assert not [one for one in outcome.map.left if one.side == "keras"]
