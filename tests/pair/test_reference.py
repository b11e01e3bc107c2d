"""The reference networks are a pair as any: what proves a person's own two models proves them, too."""

import pytest

OPTIONS = {"shape": "32x32x3", "numerics": "matched"}


def source(wing, network, more=""):
    return f"""
from {wing} import transfer


def build():
    model = transfer.build(*{network!r}, 0.0625, numerics="matched")
    {more}
    return model
"""


@pytest.mark.parametrize("network", [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")])
def test_both_sides_of_a_reference_network_are_the_same(judge, network):
    found = judge(*(source(wing, network) for wing in ("keras_impl", "torch_impl")), **OPTIONS)
    assert (found.verdict, found.first) == ("same", None)
    assert not [one.name for one in found.map.left if one.cause]
    trained = {stage.name for stage in found.stages if stage.rows}
    assert {"forward", "forward-batch", "loss", "gradients", "parameters", "evaluation", "free"} <= trained


@pytest.mark.parametrize(
    ("mistake", "cause", "layer"),
    [
        ("model.backbone.conv3_block2.bn1.eps = 1e-3", "epsilon", "conv3_block2_1_bn"),
        ("model.backbone.conv4_block1.bn0.decay = 0.9", "decay", "conv4_block1_0_bn"),
    ],
)
def test_a_mistake_in_one_is_found_where_it_is(judge, mistake, cause, layer):
    network = ("resnet50", "v1")
    found = judge(source("keras_impl", network), source("torch_impl", network, mistake), **OPTIONS)
    assert (found.verdict, found.first.cause) == ("differs", cause), found.first
    assert layer in found.first.keras
