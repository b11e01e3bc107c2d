"""No false alarm on torchvision's models: random weights, statistics re-estimated on the data, noise on."""

import pytest
import torch
import torch.nn.functional as F
import torchvision

import compare

MODELS = ("resnet18", "efficientnet_b0", "regnet_y_400mf", "convnext_tiny", "vit_b_16")


def build(name):
    torch.manual_seed(0)
    small = {"image_size": 32, "dropout": 0.1, "attention_dropout": 0.1} if name == "vit_b_16" else {}
    model = getattr(torchvision.models, name)(num_classes=10, **small)
    if name == "vit_b_16":  # its head begins with zeros: all outputs would be the same
        torch.nn.init.normal_(model.heads.head.weight, std=0.02)
    data = [(torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))) for _ in range(3)]
    norms = [module for module in model.train().modules() if hasattr(module, "running_mean")]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        for x, _ in data:
            model(x)
    for norm in norms:
        norm.momentum = 0.1
    return model, data


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_healthy_model_raises_no_alarm(name):
    model, data = build(name)
    found = compare.diagnose(model, data, loss=F.cross_entropy)
    assert not found.harmful, found.findings
    assert found.probes.restored == "same"
    assert found.findings[0].cause in ("none", "dropout")
    terms = {term.term for term in found.terms}
    assert ("dropout" in terms) == (name in ("efficientnet_b0", "convnext_tiny", "vit_b_16"))
