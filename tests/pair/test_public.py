"""Public pairs, `keras.applications` against torchvision, from random weights that leave no array at a default."""

import pytest

from tests.pair.sources import FILL

KERAS = FILL + "\n\ndef build():\n    return fill(keras.applications.{})\n"
TORCH = "import torch\nimport torchvision.models as M\n\n\ndef build():\n    torch.manual_seed(0)\n    return M.{}\n"
END = "weights=None, classes=10, classifier_activation=None"
# name -> Keras's call, torchvision's, the first cause, arrays of Keras's without a partner
PAIRS = {
    "DenseNet121": (
        f"DenseNet121(input_shape=(64, 64, 3), {END})", "densenet121(weights=None, num_classes=10)",
        {"epsilon"}, 0,
    ),
    "MobileNetV2": (
        f"MobileNetV2((64, 64, 3), {END})", "mobilenet_v2(weights=None, num_classes=10)", {"padding"}, 0,
    ),
    "MobileNetV3Small": (
        f"MobileNetV3Small((64, 64, 3), {END})", "mobilenet_v3_small(weights=None, num_classes=10)", {"input-scale"}, 0,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_public_pair_is_mapped_whole_and_its_first_difference_named(judge, name):
    keras, torch, causes, left = PAIRS[name]
    outcome = judge(KERAS.format(keras), TORCH.format(torch), steps=1)
    assert outcome.verdict == "differs"
    assert outcome.first["cause"] in causes
    assert len([one for one in outcome.map.left if one.side == "keras"]) == left
    assert not [one for one in outcome.map.left if one.side == "torch" and one.cause]
