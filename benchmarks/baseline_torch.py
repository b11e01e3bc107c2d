"""What someone would write by hand in PyTorch to compare the six policies: build, freeze, loop, evaluate.

Same images, batches, weights and epochs as `compare run --framework torch`; nothing cached but the features of
that policy, no other process, images as contiguous (N, C, H, W), which is what torchvision's transforms give.
"""

import torch
from torch import nn

from benchmarks.inputs import SETTINGS, start_arrays, stream
from compare.gap.features import FeatureStream
from torch_impl.metrics import measure
from torch_impl.transfer import build
from torch_impl.weights import from_arrays


def freeze(backbone, policy):
    for module in backbone.modules():
        is_bn = isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad = policy == "fine-tune" or (policy == "bn-trainable" and is_bn)
        if is_bn and policy == "frozen-batch-stats":
            module.track_running_stats = False


def tensors(batch):
    images, labels = (torch.from_numpy(array) for array in batch)
    return images.permute(0, 3, 1, 2).contiguous() if images.ndim == 4 else images, labels


def extract(model, batches):
    model.eval()
    with torch.no_grad():
        images = (tensors(batches[step])[0] for step in range(len(batches)))
        return torch.cat([model.pool(model.backbone(batch)) for batch in images]).numpy()


def evaluate(model, batches):
    model.eval()
    outputs, targets = [], []
    with torch.no_grad():
        for step in range(len(batches)):
            images, labels = tensors(batches[step])
            outputs.append(model(images))
            targets.append(labels)
    p, y = torch.cat(outputs), torch.cat(targets)
    measure(p, y)
    return nn.functional.binary_cross_entropy(p, y).item()


def train(policy, data):
    torch.manual_seed(0)
    model = build("resnet50", "v1", 0.25)
    from_arrays(model.backbone, start_arrays())
    freeze(model.backbone, policy)
    trained, val = model, data.validation()
    if policy == "features":  # each image's once
        data = FeatureStream(data, lambda part: extract(model, part))
        trained, val = model.head, data.of(val)
    optimizer = torch.optim.Adam(p for p in trained.parameters() if p.requires_grad)
    for epoch in range(SETTINGS.epochs):
        trained.train()
        if policy == "frozen":
            model.backbone.eval()
        batches, total, outputs, targets = data.epoch(epoch), 0.0, [], []
        for step in range(len(batches)):
            images, labels = tensors(batches[step])
            p = trained(images)
            loss = nn.functional.binary_cross_entropy(p, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            outputs.append(p.detach())
            targets.append(labels)
        measure(torch.cat(outputs), torch.cat(targets))
        losses = [evaluate(trained, part) for part in (batches, val)]
        print(
            f"{policy} epoch {epoch + 1}: fit {total / len(batches):.3f} evaluate {losses[0]:.3f} val {losses[1]:.3f}"
        )


if __name__ == "__main__":
    data = stream()
    for policy in (
        "frozen-batch-stats",
        "frozen-drifting",
        "frozen",
        "bn-trainable",
        "features",
        "fine-tune",
    ):
        train(policy, data)
